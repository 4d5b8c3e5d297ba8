"""The files of the PyTorch backend: a `torch.export` program, and what was built from one.

Reads them as archives, without torch. Knows nothing about building and running.
"""

from __future__ import annotations

import logging
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamseg.errors import ModelError
from streamseg.models.modelfile import HEADER_KEY, ModelHeader

BUILD_KEY = "streamseg_build"
"""What a payload was built with: a JSON text in its metadata."""
PROGRAM_SUFFIX = ".pt2"


def read_program_header(path: Path) -> ModelHeader:
    """The header of a program (``.pt2``), read without torch.

    Raises:
        ModelError: unreadable, no program, or one that streamseg did not export.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive_member(archive, f"/extra/{HEADER_KEY}")
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    except (zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: not a torch.export program, or a truncated one") from error
    if text is None:
        raise ModelError(
            f"{path}: a torch archive without a streamseg header; make one with "
            "'python -m engines export --format pt2'"
        )
    return ModelHeader.from_json(text, path)


def archive_member(archive: zipfile.ZipFile, suffix: str) -> str | None:
    """The text of the first member whose name ends so; None if there is none."""
    for name in archive.namelist():
        if name.endswith(suffix):
            return archive.read(name).decode()
    return None


@contextmanager
def quiet() -> Iterator[None]:
    """Torch's advice to its own developers says nothing to ours."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
