"""Transformations of functions and programs, on flat lists of values."""
