"""The command line: the only wing that knows click and rich. Knows nothing about frames."""
