"""Errors of the training room. Each message names the file, the cause and the fix.

TrainError          anything a user can mend: recipe, data, weights, checkpoint
"""

from __future__ import annotations


class TrainError(Exception):
    """Something in a recipe, a data folder, a weights file or a checkpoint must be mended."""
