"""What users call: jit, grad, vmap and their kin, on trees of arrays."""
