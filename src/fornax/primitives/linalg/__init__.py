"""Decompositions of matrices and solutions of equations, over stacks of matrices.

Compiled programs run them as a step on the host, by LAPACK.
"""
