"""Arrays as text and in files, in NumPy's forms."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax import _native
from fornax.numpy.creation import array, asarray
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "array_repr", "array_str", "from_dlpack", "fromfile", "fromiter", "fromstring",
    "get_printoptions", "load", "printoptions", "save", "savez", "set_printoptions",
]  # fmt: skip

get_printoptions = np.get_printoptions
printoptions = np.printoptions
set_printoptions = np.set_printoptions


def array_repr(arr, max_line_width=None, precision=None, suppress_small=None):
    """The text that `repr` gives, with options. See `numpy.array_repr`."""
    return np.array_repr(np.asarray(arr), max_line_width, precision, suppress_small)


def array_str(a, max_line_width=None, precision=None, suppress_small=None):
    """The text that `str` gives, with options. See `numpy.array_str`."""
    return np.array_str(np.asarray(a), max_line_width, precision, suppress_small)


def save(file, arr, allow_pickle=True):
    """Write an array to a .npy file."""
    np.save(file, np.asarray(arr), allow_pickle=allow_pickle)


def savez(file, *args, allow_pickle=True, **kwds):
    """Write arrays to a .npz file, by position and by name."""
    arrays = {name: np.asarray(x) for name, x in kwds.items()}
    np.savez(file, *map(np.asarray, args), allow_pickle=allow_pickle, **arrays)


def load(file, *args, **kwargs):
    """Read an array from a .npy file, or the mapping of arrays in an .npz file.

    Small floats that NumPy does not know (bfloat16), which it writes as raw bytes, come back as
    uint16; `view(bfloat16)` gives the numbers.
    """
    found = np.load(file, *args, **kwargs)
    if isinstance(found, np.ndarray):
        if found.dtype.kind == "V":
            found = found.view(np.dtype(f"uint{found.dtype.itemsize * 8}"))
        return asarray(found)
    return found


def fromfile(*args: Any, **kwargs: Any):
    """Not supported, because it reads within a compiled program: convert what NumPy reads."""
    raise NotImplementedError(
        located("fromfile is not supported", attempt="asarray(numpy.fromfile(...))")
    )


def fromiter(*args: Any, **kwargs: Any):
    """Not supported, because an iterable is used up when traced: convert what NumPy collects."""
    raise NotImplementedError(
        located("fromiter is not supported", attempt="asarray(numpy.fromiter(...))")
    )


def fromstring(string, dtype=float, count=-1, *, sep):
    """A 1-D array from numbers in text, `sep` between them."""
    return array(np.fromstring(string, dtype=dtypes.canonical(dtype), count=count, sep=sep))


def from_dlpack(x, /, *, device=None, copy=None):
    """An array from an object that gives its memory by the DLPack protocol."""
    result = _native.from_dlpack(x)
    return array(result, copy=True) if copy else result
