"""Operations of derivatives: part of `jax._src.ad_util`."""

from fornax.ir.primitive import Zero
from fornax.primitives.convert import stop_gradient_p

__all__ = ["Zero", "stop_gradient_p"]
