"""The command `fornax`."""
