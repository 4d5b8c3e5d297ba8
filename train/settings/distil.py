"""``[distil]``: teachers, what they look at, and how much their word counts.

Knows nothing about how a teacher is opened or asked (`train.distil` does).
"""

from __future__ import annotations

from dataclasses import dataclass

from train.settings.ranges import require


@dataclass(kw_only=True, slots=True, frozen=True)
class DistilConfig:
    """``[distil]``: learning from teachers' soft labels. Without a teacher there is none of it."""

    teachers: tuple[str, ...] = ()
    """Files whose class probabilities are averaged: ONNX (uint8 frames in, labels or scores out),
    or checkpoints of ours. Paths are relative to where the command runs."""
    unlabelled: tuple[str, ...] = ()
    """Folders of pictures and videos (with their subfolders), or videos, without labels."""
    labelled: bool = True
    """Learn from the pictures of `--data` and their labels too."""
    map: tuple[tuple[str, str], ...] = ()
    """Pairs [teacher's class, class of ours] for names that differ; equal names go together.
    Pixels that a teacher gives to a class that goes nowhere are not learned from."""
    temperature: float = 1.0
    """Softens both sides (Hinton et al. 2015); the loss is multiplied by its square."""
    weight: float = 1.0
    """Weight of the soft labels' loss; the labels' own has 1."""
    side: int = 512
    """Longer side in pixels that unlabelled pictures are brought to; 0: as they are."""
    labelled_side: int = 0
    """The same for the pictures of `--data`, as teachers see them; 0: as they are."""
    scales: tuple[float, ...] = (0.75, 1.0, 1.5)
    """Teachers look at a picture at each of these scales of that size."""
    flip: bool = True
    """Teachers look at the mirrored picture too."""
    multiple: int = 32
    """Height and width that teachers are given are multiples of this."""
    refine: bool = True
    """Pull the soft labels to the picture's edges with a guided filter (He et al. 2010)."""
    stride: int = 4
    """Picture pixels per pixel of the soft labels that are kept."""
    video_seconds: float = 0.33
    """Time between the frames taken from a video."""
    hold_out: float = 0.1
    """Without labels: the share of the pictures that validation takes, chosen by name."""
    hold_out_names: tuple[str, ...] = ()
    """Without labels: file name patterns ("repo-*") of the pictures that validation takes instead
    of a share: pictures of one source are alike."""
    cache: str = "runs/soft"
    """Folder that keeps the soft labels; they are computed once."""

    @property
    def active(self) -> bool:
        """Whether there is a teacher."""
        return bool(self.teachers)

    def __post_init__(self) -> None:
        require(self.temperature > 0, f"temperature must be above 0, got {self.temperature}")
        require(self.weight >= 0, f"weight must not be negative, got {self.weight}")
        require(
            bool(self.scales) and all(0.1 <= scale <= 4 for scale in self.scales),
            f"scales must be within 0.1..4 and at least one, got {self.scales}",
        )
        for name, side in (("side", self.side), ("labelled_side", self.labelled_side)):
            require(side == 0 or side >= 32, f"{name} must be 0 or at least 32, got {side}")
        require(self.stride in (1, 2, 4, 8), f"stride must be 1, 2, 4 or 8, got {self.stride}")
        require(self.multiple >= 1, f"multiple must be at least 1, got {self.multiple}")
        require(self.video_seconds > 0, f"video_seconds must be above 0, got {self.video_seconds}")
        require(0 < self.hold_out < 1, f"hold_out must be within 0..1, got {self.hold_out}")
        require(
            self.labelled or bool(self.unlabelled) or not self.teachers,
            "labelled is false and unlabelled is empty: there is nothing to learn from",
        )
