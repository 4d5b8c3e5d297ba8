"""Cameras and network streams. Knows nothing about engines."""
