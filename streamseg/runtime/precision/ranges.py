"""What values tensors take on pictures, and the range to quantise each of them over.

Four ways to choose a range, because outliers are paid for by everybody: every value beyond a range
is cut off, and every value within it is rounded to a step that grows with the range.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray

from streamseg.runtime.precision.graph import cpu_session, float_ranks

Method: TypeAlias = Literal["minmax", "percentile", "mse", "entropy"]
"""``minmax``: all that was seen. ``percentile``: all but one value in 10,000. ``mse``: the smallest
mean squared error of rounding and cutting. ``entropy``: the smallest Kullback-Leibler divergence
of the histogram (Migacz, "8-bit inference with TensorRT", 2017)."""

Range: TypeAlias = tuple[float, float]
"""Lowest and highest value, with 0 between them."""

_BINS = 2048
"""On either side of 0."""
_SAMPLES = 40_000
"""Values of a tensor that are counted per frame; its extremes are exact."""
_PERCENTILE = 1e-4
_CUTS = np.linspace(0.3, 1.0, 57)


class Histogram:
    """Counts of a tensor's values, around 0; the bins widen when larger values come."""

    def __init__(self) -> None:
        self.low = self.high = 0.0
        self.width = 0.0
        self.counts: NDArray[np.float64] = np.zeros(2 * _BINS)

    def add(self, values: NDArray[np.float32]) -> None:
        """Count (a sample of) an array."""
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        largest = max(-self.low, self.high)
        if largest == 0:
            return
        if self.width == 0:
            self.width = 1.001 * largest / _BINS
        while self.width * _BINS <= largest:
            self._widen()
        sample = values.ravel()[:: max(1, values.size // _SAMPLES)]
        cells = np.floor(sample / self.width).astype(np.int64) + _BINS
        np.add(self.counts, np.bincount(cells, minlength=2 * _BINS), out=self.counts)

    def _widen(self) -> None:
        """Bins of twice the width: the two halves move towards 0."""
        pairs = self.counts.reshape(-1, 2).sum(axis=1)
        self.counts[:] = 0
        self.counts[_BINS // 2 : _BINS // 2 + _BINS] = pairs
        self.width *= 2

    @property
    def centres(self) -> NDArray[np.float64]:
        """Middle of each bin."""
        return np.asarray((np.arange(-_BINS, _BINS) + 0.5) * self.width, dtype=np.float64)

    def range(self, method: Method) -> Range:
        """The range that a method chooses."""
        if method == "minmax" or self.width == 0:
            return self.low, self.high
        if method == "percentile":
            return self._percentile()
        cut = self._smallest_error() if method == "mse" else self._smallest_divergence()
        return max(self.low, -cut), min(self.high, cut)

    def _percentile(self) -> Range:
        share = np.cumsum(self.counts) / self.counts.sum()
        low = self.centres[np.searchsorted(share, _PERCENTILE)]
        high = self.centres[np.searchsorted(share, 1 - _PERCENTILE)]
        return max(self.low, min(float(low), 0.0)), min(self.high, max(float(high), 0.0))

    def _smallest_error(self) -> float:
        """Largest magnitude to keep, by mean squared error."""
        largest = max(-self.low, self.high)
        errors = []
        for cut in _CUTS * largest:
            low, high = max(self.low, -cut), min(self.high, cut)
            beyond = np.maximum(self.centres - high, 0) + np.maximum(low - self.centres, 0)
            step = (high - low) / 255
            inside = beyond == 0
            errors.append(float((self.counts * (beyond**2 + inside * step**2 / 12)).sum()))
        return float(_CUTS[int(np.argmin(errors))]) * largest

    def _smallest_divergence(self) -> float:
        """Largest magnitude to keep, by the divergence of 128 levels from all bins."""
        folded = self.counts[_BINS:] + self.counts[:_BINS][::-1]
        folded[0] = folded[1]  # zeros of a ReLU are exact at any step, and would outvote the rest
        levels = 128
        best = (np.inf, _BINS)
        for kept in range(levels, _BINS + 1, 16):
            truth = folded[:kept].copy()
            truth[-1] += folded[kept:].sum()
            edges = np.arange(levels + 1) * kept // levels
            cells = np.repeat(np.arange(levels), np.diff(edges))
            filled = folded[:kept] > 0
            sums = np.bincount(cells, folded[:kept], levels)
            members = np.bincount(cells, filled, levels)
            model = np.where(filled, (sums / np.maximum(members, 1))[cells], 0)
            both = (truth > 0) & (model > 0)
            p, q = truth / truth.sum(), model / max(model.sum(), 1)
            lost = truth[(truth > 0) & ~both].sum() / truth.sum()
            divergence = float((p[both] * np.log(p[both] / q[both])).sum() + 10 * lost)
            best = min(best, (divergence, kept))
        return best[1] * self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What `observe` counted."""

    frames: int
    histograms: Mapping[str, Histogram]

    def ranges(self, method: Method) -> dict[str, Range]:
        """Range of every tensor."""
        return {name: histogram.range(method) for name, histogram in self.histograms.items()}


def observe(
    model: onnx.ModelProto,
    frames: Sequence[NDArray[np.uint8]],
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Seen:
    """Run an fp32 graph on frames uint8 ``[N, H, W, 3]`` and count every feature map's values.

    Feature maps are the float tensors of four dimensions.
    """
    names = sorted(name for name, rank in float_ranks(model).items() if rank == 4)
    watched = copy.deepcopy(model)
    outputs = {output.name for output in watched.graph.output}
    watched.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in outputs
    )
    session = cpu_session(watched)
    histograms = {name: Histogram() for name in names}
    count = 0
    for index, batch in enumerate(frames):
        for frame in batch:
            for name, values in zip(
                names, session.run(names, {"frames": frame[None]}), strict=True
            ):
                histograms[name].add(values)
            count += 1
        progress("calibrating", index + 1, len(frames))
    return Seen(frames=count, histograms=histograms)
