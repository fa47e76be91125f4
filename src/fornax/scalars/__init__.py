"""Scalar types: dtypes, their promotion lattice and their limits."""
