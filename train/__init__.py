"""Training room: pictures and labels in, a checkpoint out. Run as ``python -m train``."""
