"""Back ends: what turns kernels into something that runs."""
