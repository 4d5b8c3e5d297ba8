"""A run: stages as threads from a source to a file. Knows nothing about ONNX or the terminal."""
