"""Built engines on disk: private, found by key, written whole or not at all."""
