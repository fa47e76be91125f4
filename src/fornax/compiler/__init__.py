"""The compiler: program → canonical form → kernels in loop IR → machine code → plan."""
