"""Start-up time: ``streamseg --help``, and the first frame of ``streamseg video``.

    python -m benchmarks.startup CLIP [--rounds 7]

Regime: each round starts a new process. "First frame" is the time from starting the process to the
first frame handed to the encoder, as the process itself reports it, plus the start of Python and
the imports before its clock started (the whole run's time less the time its own clock saw).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks.machine import median, print_result


def timed(arguments: list[str]) -> float:
    """Wall seconds of a command whose output is thrown away."""
    start = time.perf_counter()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


@click.command()
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--model", default="mbv2", show_default=True)
@click.option("--rounds", default=7, show_default=True)
def main(clip: Path, model: str, rounds: int) -> None:
    """Measure start-up, with CLIP as the video."""
    command = [sys.executable, "-m", "streamseg"]
    helps, bare, firsts = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        output, report = str(Path(folder) / "out.mp4"), Path(folder) / "stats.json"
        video = [*command, "video", str(clip), output, "--model", model, "--overwrite", "--quiet"]
        for _ in range(rounds):
            bare.append(timed([sys.executable, "-c", "pass"]))
            helps.append(timed([*command, "--help"]))
            wall = timed([*video, "--json", str(report)])
            stats = json.loads(report.read_text())
            firsts.append(wall - stats["wall_seconds"] + stats["first_frame_seconds"])
    result = {
        "python_alone_seconds": median(bare),
        "help_seconds": median(helps),
        "first_frame_seconds": median(firsts),
    }
    for key, value in result.items():
        print(f"{key}: {value:.3f}")
    print_result("startup", result)


if __name__ == "__main__":
    main()
