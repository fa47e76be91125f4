"""Differences in units in the last place."""

from __future__ import annotations

import ml_dtypes
import numpy as np

#: results smaller than this are measured as if they were of this size: where logarithms or
#: differences cancel, what is left has the rounding errors of what cancelled
LEAST = 0.125


def ulps_apart(got: np.ndarray, want: np.ndarray) -> float:
    """The largest difference in units in the last place of the expected values."""
    if want.dtype.kind == "c":
        part = np.dtype(f"f{want.dtype.itemsize // 2}")
        got, want = got.view(part), want.view(part)
    if want.dtype.kind in "biu":
        return np.inf if np.any(got != want) else 0.0
    if not want.size:
        return 0.0
    info = ml_dtypes.finfo(want.dtype)
    wide = want.astype(np.float64)
    with np.errstate(all="ignore"):
        size = np.exp2(np.floor(np.log2(np.maximum(np.abs(wide), LEAST)))) * float(info.eps)
        apart = np.abs(got.astype(np.float64) - wide) / size
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    return float(np.max(np.where(same, 0, np.where(np.isnan(apart), np.inf, apart))))
