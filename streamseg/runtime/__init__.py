"""Engines: what a model file becomes on this machine. Knows nothing about runs and drawing."""
