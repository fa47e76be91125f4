"""The operations of programs, one family per file."""
