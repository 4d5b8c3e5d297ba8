"""Model files out of other people's networks. Knows nothing about command lines and videos.

Needs the package onnx, which nothing here imports before a file is imported.
"""
