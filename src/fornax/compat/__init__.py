"""Programs and libraries written for JAX, run on Fornax."""
