"""Execution: arrays, compiled programs, eager operations."""
