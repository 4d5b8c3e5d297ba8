"""The training loop and its parts. Knows nothing about tables and figures."""
