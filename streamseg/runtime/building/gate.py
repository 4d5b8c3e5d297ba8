"""The rules by which a built engine is kept or refused. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

from streamseg.errors import EngineError
from streamseg.runtime.building.proof import Proof
from streamseg.runtime.building.timing import Speed

MIN_AGREEMENT = 0.99


class GateError(EngineError):
    """A built engine was refused; the message names the broken rules, `proof` has the numbers."""

    def __init__(self, message: str, proof: Proof) -> None:
        super().__init__(message)
        self.proof = proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What an engine must not lose, and must win."""

    min_agreement: float = MIN_AGREEMENT
    """Share of the pixels with the label of the fp32 model, 0..1."""
    max_drop: float | None = None
    """Points of mIoU (of 100) that may be lost; None asks for no labelled pictures."""
    must_be_faster_than: Speed | None = None
    """The engine it would replace; None lets a slower one pass."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_agreement <= 1:
            raise ValueError(f"min_agreement must be 0..1, got {self.min_agreement}")

    def failures(self, proof: Proof) -> list[str]:
        """The rules an engine breaks, each as a sentence with its numbers; empty if none."""
        found = []
        agreement = proof.agreement
        if agreement.share < self.min_agreement:
            found.append(
                f"it agrees with fp32 on {100 * agreement.share:.2f} % of the pixels, "
                f"{100 * self.min_agreement:g} % are asked for (--min-agreement)"
            )
        drop = agreement.drop_points
        if self.max_drop is not None:
            assert drop is not None, "a bound on mIoU needs labelled pictures"
            if drop > self.max_drop:
                found.append(
                    f"it loses {drop:.2f} points of mIoU, "
                    f"{self.max_drop:g} are allowed (--max-drop)"
                )
        if self.must_be_faster_than is not None:
            ours, theirs = proof.speed.best, self.must_be_faster_than.best
            if ours.fps <= theirs.fps:
                found.append(
                    f"it is no faster than {self.must_be_faster_than.name}, which it would "
                    f"replace: {ours.fps:.1f} against {theirs.fps:.1f} fps (--allow-slower)"
                )
        return found
