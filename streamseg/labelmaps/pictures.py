"""Label maps as pictures: a grey PNG a frame, and a file that names the classes."""

from __future__ import annotations

import json
from pathlib import Path

from streamseg.errors import OutputError, UsageError
from streamseg.labelmaps.sink import LabelSink
from streamseg.models.palette import Palette
from streamseg.video.picture import check_picture_place, write_picture
from streamseg.video.source import Item


class LabelPictures(LabelSink):
    """Writes ``000000.png`` and so on, named by the frame's number, and ``classes.json``.

    Pictures are class indices as people see them (upright), at the network's size.

    Args:
        folder: where to; made if it is not there.
        palette: names and colours.
        overwrite: whether files in it may be replaced.

    Raises:
        UsageError: `folder` is a file, or holds PNGs and may not be written over.
        OutputError: it cannot be made.
    """

    def __init__(self, folder: Path, palette: Palette, *, overwrite: bool) -> None:
        super().__init__()
        self._folder, self._palette, self._overwrite = folder, palette, overwrite
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder}: is a file; give --label-pngs a folder")
        if not overwrite and folder.is_dir() and any(folder.glob("*.png")):
            raise UsageError(f"{folder}: holds PNGs already; use --overwrite or another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error

    def take(self, item: Item) -> None:
        """Write one map."""
        assert item.labels_HW is not None, "the engine comes before"
        path = self._folder / f"{item.index:06d}.png"
        place = check_picture_place(path, overwrite=self._overwrite, lossless=True)
        write_picture(place, item.labels_HW)

    def finish(self) -> None:
        """Name the classes."""
        classes = [
            {"index": index, "name": name, "colour": list(colour)}
            for index, (name, colour) in enumerate(
                zip(self._palette.names, self._palette.colours, strict=True)
            )
        ]
        path = self._folder / "classes.json"
        try:
            path.write_text(json.dumps({"classes": classes}, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror})") from error

    def abort(self) -> None:
        """Leave what is there: each picture is complete."""
