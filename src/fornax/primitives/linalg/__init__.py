"""Decompositions of matrices and solutions of equations, over stacks of matrices.

Compiled programs have kernels for `cholesky`, `lu` and `triangular_solve` of matrices that are not
large (`compiler/kernels/limits`); everything else is a step on the host, by LAPACK.
"""
