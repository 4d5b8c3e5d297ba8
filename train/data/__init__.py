"""Data sets and augmentation: files in, `(picture, labels)` tensors out."""
