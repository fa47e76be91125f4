"""Meshes of devices, specifications of how arrays are split over them, and shardings."""
