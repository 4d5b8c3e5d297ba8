"""Peak memory of ``streamseg video`` on a short and on a long version of one clip.

    python -m benchmarks.memory CLIP [--short 250] [--long 5000]

Regime: the clip is repeated (stream copy, no re-encoding) to both lengths; each is segmented by a
process of its own at a small network size; the peak is the kernel's ``ru_maxrss``. Memory that
grows with the length of a video would show as a ratio above 1.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import click

from benchmarks.machine import print_result

_CHILD = """
import json, resource, sys
import streamseg
stats = streamseg.segment_video(sys.argv[1], sys.argv[2], model=sys.argv[3], size="128x96")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"frames": stats.frames, "peak_mib": peak, "seconds": stats.wall_seconds}))
"""


def repeat(clip: Path, target: Path, frames: int) -> None:
    """Write the clip's video again and again, with rising timestamps, until `frames` are there."""
    written, offset = 0, 0
    with av.open(str(target), "w") as output:
        stream = None
        while written < frames:
            with av.open(str(clip)) as source:
                video = source.streams.video[0]
                stream = stream or output.add_stream_from_template(video)
                end = 0
                for packet in source.demux(video):
                    if packet.dts is None or packet.pts is None or written >= frames:
                        continue
                    end = max(end, packet.pts + (packet.duration or 1))
                    packet.pts += offset
                    packet.dts += offset
                    packet.stream = stream
                    output.mux(packet)
                    written += 1
                offset += end


@click.command()
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--model", default="mbv2", show_default=True)
@click.option("--short", default=250, show_default=True, help="Frames of the short version.")
@click.option("--long", default=5000, show_default=True, help="Frames of the long version.")
def main(clip: Path, model: str, short: int, long: int) -> None:
    """Measure CLIP at both lengths."""
    peaks: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, frames in (("short", short), ("long", long)):
            source = Path(folder) / f"{name}.mp4"
            repeat(clip, source, frames)
            arguments = [str(source), str(Path(folder) / f"{name}-out.mp4"), model]
            done = subprocess.run(
                [sys.executable, "-c", _CHILD, *arguments],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
            result = json.loads(done.stdout)
            peaks[name] = result["peak_mib"]
            print(f"{result['frames']} frames: peak {result['peak_mib']:.0f} MiB")
    ratio = peaks["long"] / peaks["short"]
    print(f"ratio {ratio:.3f}")
    print_result("memory", {"frames": [short, long], "peak_mib": peaks, "ratio": ratio})


if __name__ == "__main__":
    main()
