"""What an opened model saves: the second video of a process, and two calls beside one `Segmenter`.

    python -m benchmarks.reuse CLIP [--rounds 7]

Regime: one process. Each round segments CLIP twice by `segment_video`, which opens the model for
each call, and twice in one `Segmenter`, in turn. "First frame" is the time from the call to the
first frame handed to the encoder. Model files are counted as ONNX Runtime loads them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import onnxruntime

from benchmarks.machine import median, print_result
from streamseg import Segmenter, Stats, segment_video


class CountedLoads:
    """Counts the model files that are loaded, from its making on."""

    def __init__(self) -> None:
        self.count = 0
        self._real: Callable[..., Any] = onnxruntime.InferenceSession
        onnxruntime.InferenceSession = self._load

    def _load(self, *args: Any, **options: Any) -> Any:
        self.count += 1
        return self._real(*args, **options)


@click.command()
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--model", default="mbv2", show_default=True)
@click.option("--rounds", default=7, show_default=True)
def main(clip: Path, model: str, rounds: int) -> None:
    """Measure the first frame of CLIP, with a model opened anew and one that is open."""
    loads = CountedLoads()
    names = ("function, first", "function, second", "segmenter, first", "segmenter, second")
    firsts: dict[str, list[float]] = {name: [] for name in names}
    loaded = dict.fromkeys(names, 0)

    def note(name: str, run: Callable[[], Stats]) -> None:
        before = loads.count
        seconds = run().first_frame_seconds
        assert seconds is not None, "a clip has a first frame"
        firsts[name].append(seconds)
        loaded[name] = loads.count - before

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.mp4"
        for _ in range(rounds):
            for name in names[:2]:
                note(name, lambda: segment_video(clip, out, model=model, overwrite=True))
            with Segmenter(model) as segmenter:
                for name in names[2:]:
                    note(name, lambda s=segmenter: s.video(clip, out, overwrite=True))  # type: ignore[misc]
    result = {name: {"seconds": median(firsts[name]), "loads": loaded[name]} for name in names}
    for name, values in result.items():
        print(f"{name}: first frame after {values['seconds']:.3f} s, {values['loads']} model loads")
    print_result("reuse", result)


if __name__ == "__main__":
    main()
