"""Distillation: a network learns from what other networks say, on labelled and unlabelled pictures.

`config` is the recipe's table, `teacher` runs the teachers, `soft` makes one picture's soft labels
of what they say, `cache` keeps those on disk, `frames` finds unlabelled pictures, `data` feeds all
of it to the training loop, `crop` augments it, `loss` compares.
"""
