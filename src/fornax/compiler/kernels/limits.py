"""Up to which size a kernel is quicker than LAPACK, for the operations on matrices that have one."""
import os
from fornax.ir.jaxpr import Equation

#: primitive name -> the most rows or columns of a matrix
LARGEST = {"cholesky": int(os.environ.get("LIM", 128)), "lu": int(os.environ.get("LIM", 128)), "triangular_solve": int(os.environ.get("LIM", 128))}


def is_small(equation: Equation) -> bool:
    """Whether the matrices of an operation are small enough."""
    most = LARGEST[equation.primitive.name]
    return all(max(a.type.shape[-2:]) <= most for a in equation.inputs)
