"""Up to which size kernels of operations on matrices are quicker than LAPACK."""

from math import prod

from fornax.ir.jaxpr import Equation

#: primitive name -> bytes of a matrix, at most (measured). Above, LAPACK's blocks pay, and it
#: shares a matrix among threads; exchanging rows costs kernels as much as it costs LAPACK.
LARGEST = {"cholesky": 512 << 10, "lu": 72 << 10, "triangular_solve": 288 << 10}


def is_small(equation: Equation) -> bool:
    """Whether the matrices of an operation are small enough for its kernel."""
    most = LARGEST[equation.primitive.name]
    types = [atom.type for atom in equation.inputs]
    return all(prod(t.shape[-2:]) * t.dtype.itemsize <= most for t in types)
