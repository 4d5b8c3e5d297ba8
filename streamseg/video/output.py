"""Where an output goes: checked before any work, under another name until it is complete."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from streamseg.errors import OutputError, UsageError
from streamseg.video.formats import FORMATS, SUFFIXES
from streamseg.video.partfile import drop, hold, let_go, part_file, sweep

STDOUT = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPath:
    """A checked place for an output file, and the name it has until it is complete."""

    final: Path
    """As the caller named it."""
    target: Path
    """Where it lies: `final`, or what that links to."""
    partial: Path
    muxer: str = "mp4"
    overwrite: bool = False
    """Whether `publish` may replace a file of the final name."""
    is_pipe: bool = False
    """Standard output: nothing to claim, to rename or to read again."""
    grows: bool = False
    """A recording: it has its final name from the start, and plays however it ends."""

    @property
    def url(self) -> str:
        """Where FFmpeg is to write."""
        return "pipe:1" if self.is_pipe else f"file:{self.partial}"

    @classmethod
    def standard_output(cls, muxer: str | None = None) -> OutputPath:
        """Standard output, as Matroska unless another kind is asked for.

        Args:
            muxer: name of the kind of file: mp4 (in fragments), mpegts, nut, webm …

        Raises:
            UsageError: one that cannot be, or standard output is a terminal.
        """
        known = [f.muxer for f in FORMATS]
        if muxer not in (None, *known):
            raise UsageError(f"--format {muxer}: unknown; give one of {', '.join(known)}")
        if sys.stdout is not None and sys.stdout.isatty():
            raise UsageError(
                "-: standard output is a terminal; send it into a pipe, as with '| ffplay -'"
            )
        place = Path(STDOUT)
        return cls(
            final=place, target=place, partial=place, muxer=muxer or "matroska", is_pipe=True
        )

    @classmethod
    def check(
        cls,
        path: Path,
        *,
        overwrite: bool,
        source: Path | None = None,
        kinds: Mapping[str, str] = SUFFIXES,
    ) -> OutputPath:
        """Refuse, before any work, a place where the output cannot go.

        Args:
            path: file to write.
            overwrite: whether it may replace one.
            source: what is read, and must not be written to.
            kinds: suffixes that are taken, each with its muxer or format.

        Raises:
            UsageError: another suffix than the known ones, a missing folder, an existing file
                without `overwrite`, one that is no plain file, or the source itself.
            OutputError: the folder takes no new file.
        """
        try:
            return cls._check(path, overwrite, source, kinds)
        except OSError as error:  # a name too long, a folder that may not be searched
            raise UsageError(f"{path}: cannot be looked up ({error.strerror})") from error

    @classmethod
    def _check(
        cls, path: Path, overwrite: bool, source: Path | None, kinds: Mapping[str, str]
    ) -> OutputPath:
        muxer = kinds.get(path.suffix.lower())
        if muxer is None:
            known = ", ".join(kinds)
            raise UsageError(f"{path}: unknown kind of output; give a name that ends in {known}")
        if path.is_dir():
            raise UsageError(f"{path}: is a folder; give a file name")
        if not path.parent.is_dir():
            raise UsageError(f"{path}: the folder {path.parent} does not exist; create it first")
        if source is not None and path.exists() and source.exists() and path.samefile(source):
            raise UsageError(f"{path}: input and output are the same file; choose another name")
        if (path.exists() or path.is_symlink()) and not overwrite:  # also a link to nothing
            raise UsageError(f"{path}: already exists; use --overwrite or choose another name")
        target = _target(path)
        partial = part_file(target)
        output = cls(final=path, target=target, partial=partial, muxer=muxer, overwrite=overwrite)
        sweep(target.parent)
        output.claim()
        output.discard()
        return output

    def claim(self) -> None:
        """Make the unfinished file, empty, and hold it: see `streamseg.video.partfile`.

        Raises:
            OutputError: the folder takes no new file.
        """
        if self.is_pipe:
            return
        try:
            if self.grows:
                self.partial.open("wb" if self.overwrite else "xb").close()
            else:
                hold(self.partial)
        except OSError as error:
            raise cannot_write(self, error) from error

    def recording(self) -> OutputPath:
        """The same place for a file that grows there."""
        return self if self.is_pipe else replace(self, partial=self.target, grows=True)

    def publish(self) -> None:
        """Give the finished file its final name; the mode of one that it replaces is kept.

        Raises:
            OutputError: a file of that name appeared since `check` and may not be replaced; the
                finished file is kept beside it.
            OSError: it cannot be renamed.
        """
        if self.is_pipe or self.grows:
            return
        if self.overwrite:
            with contextlib.suppress(OSError):  # none is there, or its file system has no modes
                self.partial.chmod(stat.S_IMODE(self.target.stat().st_mode))
            self._rename(self.target)
            return
        try:
            os.link(self.partial, self.final)  # a rename would replace what is there
        except FileExistsError as error:
            raise self._keep_beside() from error
        except OSError as error:  # a file system without links
            if self.final.exists():
                raise self._keep_beside() from error
            self._rename(self.final)
        else:
            self.discard()

    def _rename(self, to: Path) -> None:
        self.partial.replace(to)
        let_go(self.partial)

    def _keep_beside(self) -> OutputError:
        beside = self.final.with_name(f"{self.final.stem}.{os.getpid()}{self.final.suffix}")
        self._rename(beside)
        return OutputError(
            f"{self.final}: appeared while this run went on and is left as it is; the result of "
            f"this run is {beside}"
        )

    def discard(self) -> None:
        """Remove the unfinished file, if there is one and the disk lets us."""
        if not self.is_pipe:
            drop(self.partial)


def output_place(
    dst: str | Path, container: str | None, *, overwrite: bool, source: Path | None = None
) -> OutputPath:
    """Where a video goes: a file, or standard output for ``-``; see `OutputPath`.

    Raises:
        UsageError, OutputError: it cannot go there.
    """
    if str(dst) == STDOUT:
        return OutputPath.standard_output(container)
    if container is not None:
        raise UsageError(f"{dst}: its name says what kind of file it is; --format is for -")
    return OutputPath.check(Path(dst), overwrite=overwrite, source=source)


def _target(path: Path) -> Path:
    """The file that is written for a name: what it links to, if it is a link.

    Raises:
        UsageError: a link to nowhere, or something that is no plain file.
    """
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: is no plain file (a device or a pipe); give a file name")
    if not path.is_symlink():
        return path
    try:
        target = path.resolve()
    except (RuntimeError, OSError) as error:  # Python before 3.13 raises the one for a circle
        raise UsageError(f"{path}: a link that leads in a circle; remove it") from error
    if not target.parent.is_dir():
        raise UsageError(f"{path}: a link into {target.parent}, which does not exist; create it")
    return target


def cannot_write(output: OutputPath, error: BaseException) -> OutputError:
    """The error of a write that failed, in words."""
    if output.is_pipe and isinstance(error, BrokenPipeError):
        return OutputError("-: whoever read standard output has gone; nothing more was written")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        left = "it plays up to here" if output.grows else "the unfinished file was removed"
        return OutputError(
            f"{output.final}: the disk is full ({error.strerror}); {left}: free space or write to "
            "another disk"
        )
    if isinstance(error, FileExistsError):
        return OutputError(
            f"{output.final}: appeared while this run began and is left as it is; choose another "
            "name"
        )
    if isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS:
        return OutputError(f"{output.final}: the folder may not be written to; choose another one")
    detail = getattr(error, "strerror", None) or error
    return OutputError(f"{output.final}: writing failed ({detail})")
