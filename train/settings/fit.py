"""The tables ``[optim]``, ``[loss]`` and ``[train]`` of a recipe, with their defaults and ranges.

Knows nothing about TOML (`train.recipe` does) nor about what the values do (their owners do).
`docs/training.md` lists every key from these docstrings; a test keeps the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from train.settings.ranges import require, require_at_least, require_choice

StartClasses: TypeAlias = Literal["name", "index"]
"""By what classes of the start weights become classes of a run."""


@dataclass(kw_only=True, slots=True, frozen=True)
class OptimConfig:
    """``[optim]``: optimiser, learning rates of the network's parts, schedule, what is frozen."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    """SGD with momentum; Adam (Kingma & Ba 2015); AdamW (Loshchilov & Hutter 2019)."""
    lr: float = 0.01
    """Learning rate of the head at the schedule's start."""
    backbone_factor: float = 0.1
    """The backbone's learning rate as a share of `lr`."""
    decoder_factor: float = 1.0
    """The decoder's learning rate as a share of `lr`."""
    bias_factor: float = 1.0
    """Multiplies the rate of the biases of head and decoder (DeepLabV2: 2)."""
    momentum: float = 0.9
    """SGD only."""
    nesterov: bool = True
    """SGD only: Nesterov's momentum."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam and AdamW only: decay of the moments."""
    weight_decay: float = 1e-4
    """Added to the gradient by SGD and Adam (L2), decoupled in AdamW."""
    decay_all: bool = False
    """Decay biases and BatchNorm too, as plain PyTorch code does; else weights alone."""
    schedule: Literal["poly", "constant", "step", "cosine"] = "poly"
    """poly: `end_lr + (lr - end_lr) * (1 - step / decay_steps) ** power`; step: times `gamma` at
    each milestone; cosine: half a cosine from `lr` to `end_lr` (Loshchilov & Hutter 2017)."""
    power: float = 0.9
    """poly only."""
    end_lr: float = 0.0
    """poly and cosine: rate of the head at `decay_steps` and after."""
    decay_steps: int = 0
    """Optimiser steps until `end_lr`; 0: the length of the run."""
    milestones: tuple[float, ...] = (0.5, 0.75)
    """step only: shares of `decay_steps` in (0, 1) at which the rate is multiplied."""
    gamma: float = 0.1
    """step only."""
    warmup_steps: int = 50
    """The schedule is multiplied by a line that rises to 1 over these steps, or over a tenth
    of the run if that is less; 0: none."""
    warmup_start: float = 0.0
    """Where that line starts, as a share of the rate."""
    clip_norm: float = 0.0
    """Gradients are scaled down to this global L2 norm (Pascanu et al. 2013); 0: never."""
    freeze: tuple[str, ...] = ()
    """Parts of the network that stay as they are, in evaluation mode: ["backbone"], or modules
    inside, e.g. ["backbone.features.0"]."""
    freeze_batchnorm: Literal["none", "backbone", "all"] = "none"
    """BatchNorm that keeps its statistics, scale and shift."""
    batchnorm_momentum: float = 0.0
    """Share of a new batch in BatchNorm's running statistics; 0: as the network has it."""
    backbone_batchnorm_momentum: float = 0.0
    """The same for the backbone alone (report 003's code: 0.01)."""

    def __post_init__(self) -> None:
        require_choice("name", self.name, ("sgd", "adam", "adamw"))
        require_choice("schedule", self.schedule, ("poly", "constant", "step", "cosine"))
        require_choice("freeze_batchnorm", self.freeze_batchnorm, ("none", "backbone", "all"))
        require(self.lr > 0, f"lr must be positive, got {self.lr}")
        require_at_least(
            0,
            backbone_factor=self.backbone_factor,
            decoder_factor=self.decoder_factor,
            bias_factor=self.bias_factor,
            weight_decay=self.weight_decay,
            decay_steps=self.decay_steps,
            warmup_steps=self.warmup_steps,
            clip_norm=self.clip_norm,
            power=self.power,
        )
        for name, value in (("momentum", self.momentum), *(("betas", beta) for beta in self.betas)):
            require(0 <= value < 1, f"{name} must be in [0, 1), got {value}")
        require(
            0 <= self.end_lr <= self.lr,
            f"end_lr must be in [0, lr], got {self.end_lr} of {self.lr}",
        )
        require(
            all(0 < share < 1 for share in self.milestones)
            and list(self.milestones) == sorted(self.milestones),
            f"milestones must be rising shares in (0, 1), got {list(self.milestones)}",
        )
        require(0 < self.gamma <= 1, f"gamma must be in (0, 1], got {self.gamma}")
        require(0 <= self.warmup_start <= 1, "warmup_start must be in [0, 1]")
        for name, share in (
            ("batchnorm_momentum", self.batchnorm_momentum),
            ("backbone_batchnorm_momentum", self.backbone_batchnorm_momentum),
        ):
            require(0 <= share <= 1, f"{name} must be in [0, 1], got {share}")


@dataclass(kw_only=True, slots=True, frozen=True)
class LossConfig:
    """``[loss]``: what is minimised; formulas and papers are in `train.fit.losses`."""

    name: Literal["cross_entropy", "ohem", "dice", "cross_entropy+dice"] = "cross_entropy"
    """Cross-entropy; that of the hard pixels alone; soft Dice; or cross-entropy plus Dice."""
    balance: Literal["none", "sqrt", "median"] = "sqrt"
    """Class weights: none; median-frequency balancing (Eigen & Fergus 2015); or its square root."""
    auxiliary: float = 0.4
    """Weight of the auxiliary head's loss, and of OCR's soft regions (PSPNet: 0.4)."""
    label_smoothing: float = 0.0
    """Share of a pixel's truth that is spread over all classes (Szegedy et al. 2016)."""
    ohem_threshold: float = 0.7
    """ohem: pixels whose true class has less than this probability are hard."""
    ohem_keep: float = 0.0625
    """ohem: share of the labelled pixels kept at least, the hardest ones."""
    dice_weight: float = 1.0
    """cross_entropy+dice: weight of the Dice term."""

    def __post_init__(self) -> None:
        require_choice("name", self.name, ("cross_entropy", "ohem", "dice", "cross_entropy+dice"))
        require_choice("balance", self.balance, ("none", "sqrt", "median"))
        require_at_least(0, auxiliary=self.auxiliary, dice_weight=self.dice_weight)
        require(0 <= self.label_smoothing < 1, "label_smoothing must be in [0, 1)")
        require(0 < self.ohem_threshold <= 1, "ohem_threshold must be in (0, 1]")
        require(0 < self.ohem_keep <= 1, "ohem_keep must be in (0, 1]")


@dataclass(kw_only=True, slots=True, frozen=True)
class LoopConfig:
    """``[train]``: how long, how many, how precise, when to look, from which seed."""

    epochs: int = 20
    """Length of the run, unless `iterations` is given."""
    iterations: int = 0
    """Length of the run in optimiser steps; 0: `epochs` says it."""
    batch: int = 8
    """Pictures of one optimiser step, over all processes and parts: a recipe means the same on
    any number of GPUs."""
    accumulate: int = 1
    """Parts that each process works its share of a batch off in; gradients are summed."""
    amp: Literal["auto", "off", "fp16", "bf16"] = "auto"
    """Mixed precision. auto: on CUDA bf16 where the GPU has it (from Ampere on), else fp16 with
    loss scaling; off elsewhere."""
    tf32: bool = True
    """CUDA: what stays in float32 may be multiplied in TensorFloat-32."""
    compile: bool = False
    """Steps through `torch.compile`: minutes at the start, fewer and larger kernels after."""
    ema_decay: float = 0.998
    """Decay of the exponential moving average of the weights; 0 switches it off."""
    start_classes: StartClasses = "name"
    """``--init`` with a whole network of other classes. name: its classes that the run has too keep
    their weights; index: class i starts as its class i, whatever that meant (report 003)."""
    validate_every: int = 1
    """Epochs between validations; the last epoch is always validated."""
    validate_every_steps: int = 0
    """Optimiser steps between validations, instead of epochs; 0: `validate_every` says it."""
    validate_first: bool = False
    """Look before the first step too, as step 0 of the log: where an adaptation curve starts."""
    keep_all: bool = False
    """Keep the weights of every validation, as ``step_NUMBER.safetensors`` (report 003 shows a
    picture at several mIoU)."""
    patience: int = 0
    """Stop after this many validations in a row without a better mIoU; 0: never."""
    sync_batchnorm: bool = False
    """Several GPUs: BatchNorm over the whole batch, not each GPU's share."""
    tensorboard: bool = True
    """Write TensorBoard events into the run folder."""
    seed: int = 0
    """Of the weights, the order of pictures, the augmentation and dropout."""

    def __post_init__(self) -> None:
        require_choice("amp", self.amp, ("auto", "off", "fp16", "bf16"))
        require_choice("start_classes", self.start_classes, ("name", "index"))
        require_at_least(1, epochs=self.epochs, validate_every=self.validate_every)
        require_at_least(1, accumulate=self.accumulate)
        require_at_least(
            0,
            iterations=self.iterations,
            validate_every_steps=self.validate_every_steps,
            patience=self.patience,
            seed=self.seed,
        )
        require(self.batch >= 2, f"batch must be at least 2 (BatchNorm), got {self.batch}")
        require(
            self.batch % self.accumulate == 0,
            f"accumulate ({self.accumulate}) must divide batch ({self.batch})",
        )
        require(self.seed < 1 << 24, f"seed must be below 2**24, got {self.seed}")
        require(0 <= self.ema_decay < 1, f"ema_decay must be in [0, 1), got {self.ema_decay}")
