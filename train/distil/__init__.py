"""Distillation: pictures with what other networks say of them. Knows no loss and no loop.

`train.settings.distil` is the recipe's table, `teacher` runs the teachers, `soft` makes one
picture's soft labels of what they say, `cache` keeps those on disk, `frames` finds unlabelled
pictures, `data` feeds all of it to the training loop, `crop` augments it;
`train.fit.soft_loss` compares.
"""
