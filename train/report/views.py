"""Models as the picture grid shows them beside their plain labels: with a CRF, in several sizes.

``RUN:crf``, ``RUN:scales=0.75,1,1.25+flip``; see `train.evaluation` for what they do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from train.console import split_name
from train.errors import UsageError
from train.evaluation.crf import CrfConfig
from train.evaluation.measure import Protocol, predictor
from train.evaluation.subject import open_subject
from train.evaluation.views import Views
from train.report.runs import BEST

Labels: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""``picture_HWC -> labels_HW``, at the picture's size."""

FORM = "write [NAME=]RUN:HOW, with HOW of crf, flip, scales=0.75,1,1.25 and slide=256, joined by +"


@dataclass(kw_only=True, slots=True, frozen=True)
class View:
    """One column of the grid."""

    name: str
    checkpoint: Path
    protocol: Protocol

    def open(self, device: torch.device) -> Labels:
        """The model, ready to label.

        Raises:
            TrainError: it cannot be read.
        """
        return predictor(open_subject(self.checkpoint, device), self.protocol)


def read_view(argument: str) -> View:
    """A view from ``[NAME=]RUN:HOW``.

    Raises:
        UsageError: it is not of that form.
    """
    place_text, colon, how = argument.rpartition(":")
    if not colon or not how:
        raise UsageError(f"--view {argument}: {FORM}")
    given, place = split_name(place_text)
    crf, values = False, dict[str, Any]()
    for part in how.split("+"):
        key, _, text = part.partition("=")
        try:
            if part == "crf":
                crf = True
            elif part == "flip":
                values["flip"] = True
            elif key == "scales":
                values["scales"] = tuple(float(scale) for scale in text.split(","))
            elif key == "slide":
                values["window"] = int(text)
            else:
                raise ValueError(f"unknown: {part}")
            views = Views(**values)
        except ValueError as error:
            raise UsageError(f"--view {argument}: {error}; {FORM}") from error
    return View(
        name=given or f"{place.resolve().name}, {how}",
        checkpoint=place / BEST if place.is_dir() else place,
        protocol=Protocol(views=views, crf=CrfConfig() if crf else None),
    )
