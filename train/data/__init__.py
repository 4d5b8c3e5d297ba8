"""Data sets and augmentation: files in, `(picture, labels)` tensors out. Knows no network.

A layout is one function ``(root, split) -> Split`` and one line in `train.data.layouts.LAYOUTS`.
What finds and checks files needs no torch, which takes seconds to import: `dataset`, `transforms`
and `opening` alone do.
"""
