"""What PyTorch says when a step fails, in sentences that name the key to change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from train.errors import TrainError


@contextmanager
def failures_in_words(device: torch.device) -> Iterator[None]:
    """Around the steps of a run.

    Raises:
        TrainError: memory ran out, or BatchNorm was given one picture.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainError(
            f"{device} ran out of memory; lower train.batch or data.crop, or raise train.accumulate"
        ) from error
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TrainError(
            "BatchNorm cannot train on one picture: a process has one a part; raise "
            "train.batch, lower train.accumulate, or set optim.freeze_batchnorm"
        ) from error
