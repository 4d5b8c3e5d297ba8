"""`streamseg codecs`: the video encoders that work here."""

from __future__ import annotations

import click


@click.command()
@click.option("--all", "show_all", is_flag=True, help="Also those that do not start here, and why.")
@click.option("--json", "json_target", metavar="FILE", help="The same as JSON; - is stdout.")
def codecs(json_target: str | None, show_all: bool) -> None:
    """List the video encoders that work here: each is started, to see.

    Any of the names may be given to --codec.
    """
    from streamseg.cli.output import check_json_target, print_text, write_json
    from streamseg.video.trying import try_encoders

    check_json_target(json_target)
    found = [encoder for encoder in try_encoders() if encoder.works or show_all]
    if json_target is not None:
        write_json({"encoders": [encoder.as_dict() for encoder in found]}, json_target)
    if json_target == "-":
        return
    width = max(len(encoder.name) for encoder in found)
    for encoder in found:
        on = f"on {encoder.hardware}, " if encoder.hardware else ""
        state = "" if encoder.works else f"; does not start here: {encoder.why_not}"
        print_text(
            f"{encoder.name:{width}}  {on}{encoder.codec}: {' '.join(encoder.files)}{state}\n"
        )
