"""Engines room: a checkpoint in, one portable model file out. Run as ``python -m engines``."""
