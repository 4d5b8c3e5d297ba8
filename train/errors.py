"""Errors of the training room. Each message names the file, the cause and the fix.

TrainError          anything a user can mend: recipe, data, weights, checkpoint (exit code 1)
└── UsageError      the command line must be changed (exit code 2)
"""

from __future__ import annotations


class TrainError(Exception):
    """Something in a recipe, a data folder, a weights file or a checkpoint must be mended."""

    exit_code = 1


class UsageError(TrainError):
    """An option of the command line must be changed."""

    exit_code = 2
