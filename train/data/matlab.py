"""Label maps in MATLAB files, as SBD and COCO-Stuff 10k store them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.errors import TrainError


def read_matrix(path: Path, variable: str, field: str | None = None) -> NDArray[np.integer]:
    """The integer matrix ``[H, W]`` of a variable, or of a field of that structure.

    Raises:
        TrainError: scipy is missing, or the file is unreadable or holds no such matrix.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise TrainError(f"{path}: reading MATLAB files takes scipy (pip install scipy)") from error
    name = f"{variable}.{field}" if field else variable
    try:
        content: Any = loadmat(path, variable_names=[variable])[variable]
        matrix = np.asarray(content[field][0, 0] if field else content)
    except KeyError as error:
        raise TrainError(f"{path}: holds no variable {name}") from error
    except Exception as error:  # scipy raises whatever a broken file leads it into
        raise TrainError(f"{path}: cannot be read as a MATLAB file ({error})") from error
    if matrix.dtype.kind == "f" and np.array_equal(matrix, np.rint(matrix)):
        matrix = matrix.astype(np.int64)  # MATLAB's own number type is double
    if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.integer):
        raise TrainError(
            f"{path}: {name} must be a matrix of integers, got {matrix.dtype} {matrix.shape}"
        )
    return matrix
