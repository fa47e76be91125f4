"""NumPy's functions on Fornax arrays, with JAX's promotion and semantics."""

from fornax.numpy import linalg
from fornax.numpy.at import put_along_axis
from fornax.numpy.bits import *
from fornax.numpy.creation import *
from fornax.numpy.editing import *
from fornax.numpy.functional import *
from fornax.numpy.grids import *
from fornax.numpy.indexing import take, take_along_axis
from fornax.numpy.logaddexp import *
from fornax.numpy.matrices import *
from fornax.numpy.methods import Array as ndarray  # noqa: N813  (also installs operators)
from fornax.numpy.padding import *
from fornax.numpy.polynomials import *
from fornax.numpy.products import *
from fornax.numpy.reductions import *
from fornax.numpy.scalar_types import *
from fornax.numpy.selection import *
from fornax.numpy.sets import *
from fornax.numpy.shaping import *
from fornax.numpy.signal import *
from fornax.numpy.statistics import *
from fornax.numpy.texts import *
from fornax.numpy.ufuncs import *
