"""Training room: pictures and labels in, a checkpoint out; knows nothing about ``engines``."""
