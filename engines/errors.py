"""Errors of the engines room. Each message names the file, the cause and the fix.

EngineBuildError        a model file could not be made from a checkpoint
"""

from __future__ import annotations


class EngineBuildError(Exception):
    """A model file could not be made: its name is taken, its size too large, its graph not ours."""
