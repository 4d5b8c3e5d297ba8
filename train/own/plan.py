"""What to train for a few pictures: a recipe, written out with its reasons. Knows no command."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamseg.models.palette import Palette
from train.checkpoint import Checkpoint, load_checkpoint
from train.data.classnames import match
from train.data.labelme import BACKGROUND
from train.data.prepare import Prepared
from train.errors import UsageError
from train.models import ModelSpec

WEIGHTS = Path(__file__).parents[1] / "weights"
DEFAULT_START = "mbv2"
STEPS_PER_PICTURE = 25
LEAST_STEPS, MOST_STEPS = 200, 4000
EPOCH_STEPS = 10
"""Steps that an epoch has at least: pictures are repeated until it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The checkpoint that a run starts from."""

    name: str
    path: Path
    checkpoint: Checkpoint


def shipped() -> dict[str, Path]:
    """Names of the checkpoints that this room ships, and where they lie."""
    return {path.stem.replace("_", "-"): path for path in sorted(WEIGHTS.glob("*.safetensors"))}


def choose_start(name: str | None, classes: Palette) -> Start:
    """A checkpoint by its name or file; None takes the shipped one that knows most of the classes.

    Raises:
        UsageError: no such name or file.
        TrainError: it cannot be read.
    """
    known = shipped()
    if name is not None:
        path = known.get(name, Path(name))
        if not path.is_file():
            raise UsageError(
                f"--from {name}: no such checkpoint; shipped are {', '.join(known)}, or give the "
                "file of one (.safetensors)"
            )
        return Start(name=name, path=path, checkpoint=load_checkpoint(path))
    starts = [Start(name=n, path=p, checkpoint=load_checkpoint(p)) for n, p in known.items()]

    def merit(start: Start) -> tuple[int, bool]:
        return shared_classes(start, classes), start.name == DEFAULT_START

    return max(starts, key=merit)


def shared_classes(start: Start, classes: Palette) -> int:
    """How many of the classes a checkpoint knows already, but for the background."""
    names = [name for name in classes.names if name not in BACKGROUND]
    return sum(match(name, start.checkpoint.classes.names) is not None for name in names)


def video_size(height: int, width: int, pixels: int) -> tuple[int, int]:
    """Multiples of 32 (height, width) near a shape, with at most `pixels`: how a video is seen."""
    sides = range(32, 2049, 32)
    sizes = [(h, w) for h in sides for w in sides if h * w <= pixels]

    def loss(size: tuple[int, int]) -> float:
        bent = abs(math.log(size[1] * height / (size[0] * width)))
        return bent + 0.3 * (1 - size[0] * size[1] / pixels)

    return min(sizes, key=loss)


def crop_of(sizes: Sequence[tuple[int, int]]) -> int:
    """Side of the training crop: 320, or less where pictures are smaller; a multiple of 32."""
    height, width = sizes[0]
    return max(64, min(320, 32 * round(min(height, width) / 32)))


def batch_of(pictures: int) -> int:
    """Pictures of a step: 8; of very few 4, since a batch would hold each of them twice."""
    return 8 if pictures >= 16 else 4


def wanted_steps(pictures: int) -> int:
    """Steps of a run by the pictures to train on."""
    return max(LEAST_STEPS, min(MOST_STEPS, STEPS_PER_PICTURE * pictures))


def recipe_text(name: str, start: Start, prepared: Prepared, steps: int) -> str:
    """The recipe as TOML, with what each choice is for."""
    spec = start.checkpoint.recipe.model
    batch = batch_of(prepared.train)
    repeat = -(-EPOCH_STEPS * batch // prepared.train)
    model = _model_table(spec)
    return f"""\
# Own pictures: {prepared.train} to train on, {prepared.val} to validate on. `train own` wrote it,
# and printed the commands that use it: change what you like, and type them again.
name = {json.dumps(name)}

# The network of the checkpoint that it starts from ({start.name}).
[model]
{model}

[data]
layout = "folder"
crop = {crop_of(prepared.sizes)}
scale = [0.6, 1.8]
scale_law = "uniform"
jitter = 0.4           # few pictures know one light and one camera
repeat = {repeat}            # an epoch would have too few steps
workers = {1 if prepared.train > 100 else 0}

[optim]
name = "adamw"
lr = 1e-3              # the classifier is new ...
backbone_factor = 0.2  # ... the backbone is not
weight_decay = 0.02
warmup_steps = 20
freeze_batchnorm = "backbone"  # few pictures have no statistics to speak of

[loss]
balance = "sqrt"
auxiliary = 0.4

[train]
iterations = {steps}
batch = {batch}
ema_decay = 0.98
validate_every_steps = {max(1, steps // 8)}
tensorboard = false
"""


def _model_table(spec: ModelSpec) -> str:
    """Every key of a network that is not the default."""
    lines = [
        f"{field.name} = {_toml(getattr(spec, field.name))}"
        for field in dataclasses.fields(spec)
        if field.name != "classes" and getattr(spec, field.name) != field.default
    ]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value)
