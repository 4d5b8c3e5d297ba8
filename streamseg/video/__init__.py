"""Video in and out, through PyAV: everything that knows about containers and codecs."""
