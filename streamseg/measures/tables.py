"""Tables of measures: a row a frame with its number, its time and each class's share.

CSV for spreadsheets, JSON lines for scripts, Parquet (with pyarrow) for long recordings. All three
are written as they grow and read back into the same `Table`.
"""

from __future__ import annotations

import csv
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.errors import SourceError, UsageError
from streamseg.video.output import OutputPath, cannot_write

KINDS = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}
"""Suffixes of tables."""
_FIRST_COLUMNS = ("frame", "seconds")
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Row:
    """One frame."""

    frame: int
    """Its number in the run, from 0."""
    seconds: float
    """Since the video's first frame."""
    shares: NDArray[np.float64]
    """``[K]``: share of the picture that is each class, 0..1."""


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of a file."""

    classes: tuple[str, ...]
    seconds: NDArray[np.float64]
    """``[N]``"""
    shares: NDArray[np.float64]
    """``[N, K]``, 0..1"""


class TableWriter(ABC):
    """Writes a table that gets its name in `finish`.

    Args:
        output: where to; see `check_table`.
        classes: names, in the order of shares.

    Raises:
        OutputError: the file cannot be created.
    """

    def __init__(self, output: OutputPath, classes: Sequence[str]) -> None:
        self._output = output
        self._columns = [*_FIRST_COLUMNS, *classes]
        output.claim()
        self._guarded(self._open)

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _write(self, row: Row) -> None: ...

    @abstractmethod
    def _close(self) -> None: ...

    def write(self, row: Row) -> None:
        """One more row.

        Raises:
            OutputError: the disk is full, or the like.
        """
        self._guarded(lambda: self._write(row))

    def finish(self) -> None:
        """Complete the file and give it its name.

        Raises:
            OutputError: as `write`, or a file of that name has appeared.
        """
        self._guarded(self._close)
        self._guarded(self._output.publish)

    def abort(self) -> None:
        """Remove the unfinished file."""
        self._output.discard()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            self.abort()
            raise cannot_write(self._output, error) from error


class _Csv(TableWriter):
    def _open(self) -> None:
        self._file = self._output.partial.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(self._columns)

    def _write(self, row: Row) -> None:
        shares = [f"{share:.7f}" for share in row.shares]
        self._rows.writerow([row.frame, f"{row.seconds:.6f}", *shares])

    def _close(self) -> None:
        self._file.close()


class _JsonLines(TableWriter):
    def _open(self) -> None:
        self._file = self._output.partial.open("w", encoding="utf-8")

    def _write(self, row: Row) -> None:
        shares = [round(float(share), 7) for share in row.shares]
        line = {
            "frame": row.frame,
            "seconds": round(row.seconds, 6),
            "shares": dict(zip(self._columns[2:], shares, strict=True)),
        }
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _close(self) -> None:
        self._file.close()


class _Parquet(TableWriter):
    def _open(self) -> None:
        import pyarrow
        import pyarrow.parquet

        kinds = [pyarrow.int64(), *[pyarrow.float64()] * (len(self._columns) - 1)]
        self._schema = pyarrow.schema(list(zip(self._columns, kinds, strict=True)))
        self._file = pyarrow.parquet.ParquetWriter(self._output.partial, self._schema)
        self._waiting: list[Row] = []

    def _write(self, row: Row) -> None:
        self._waiting.append(row)
        if len(self._waiting) >= _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        shares = np.stack([row.shares for row in self._waiting])
        columns = [
            pyarrow.array([row.frame for row in self._waiting]),
            pyarrow.array([row.seconds for row in self._waiting]),
            *(pyarrow.array(column) for column in shares.T),
        ]
        self._file.write_table(pyarrow.Table.from_arrays(columns, schema=self._schema))
        self._waiting = []

    def _close(self) -> None:
        if self._waiting:
            self._flush()
        self._file.close()


_WRITERS: Mapping[str, type[TableWriter]] = {
    "csv": _Csv,
    "jsonl": _JsonLines,
    "parquet": _Parquet,
}


def check_table(path: Path, *, overwrite: bool, source: Path | None = None) -> OutputPath:
    """Refuse, before any work, a place where a table cannot go; see `OutputPath.check`.

    Raises:
        UsageError, OutputError: as there; or a Parquet file without pyarrow.
    """
    output = OutputPath.check(path, overwrite=overwrite, source=source, kinds=KINDS)
    if output.muxer == "parquet":
        _need_pyarrow(path)
    return output


def open_table(output: OutputPath, classes: Sequence[str]) -> TableWriter:
    """A writer of the kind that the name says."""
    return _WRITERS[output.muxer](output, classes)


def read_table(path: str | Path) -> Table:
    """A table as it was written.

    Raises:
        UsageError: no such file, or another kind of file.
        SourceError: it is no table of measures, or has no row.
    """
    path = Path(path)
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(f"{path}: give a table of measures ({', '.join(KINDS)})")
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        classes, rows = _READERS[kind](path)
        values = np.array(list(rows), np.float64)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise SourceError(f"{path}: is no table of measures ({error}); see --measure") from error
    if not len(values):
        raise SourceError(f"{path}: has no row")
    if values.ndim != 2 or values.shape[1] != len(classes) + 1 or not np.isfinite(values).all():
        raise SourceError(f"{path}: is no table of measures: a row has other columns")
    return Table(tuple(classes), values[:, 0], values[:, 1:])


_Read = tuple[Sequence[str], Iterable[Sequence[float]]]


def _read_csv(path: Path) -> _Read:
    def rows() -> Iterator[list[float]]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            next(lines)
            for line in filter(None, lines):
                yield [_number(cell) for cell in line[1:]]

    with path.open(encoding="utf-8-sig", newline="") as file:
        head = next(csv.reader(file), [])
    return _classes(head), rows()


def _read_json_lines(path: Path) -> _Read:
    def rows() -> Iterator[list[float]]:
        with path.open(encoding="utf-8") as file:
            for line in map(json.loads, filter(str.strip, file)):
                yield [_number(line["seconds"]), *(_number(line["shares"][n]) for n in classes)]

    with path.open(encoding="utf-8") as file:
        classes = list(json.loads(next(file, "{}")).get("shares", {}))
    return _classes([*_FIRST_COLUMNS, *classes]), rows()


def _read_parquet(path: Path) -> _Read:
    _need_pyarrow(path)
    import pyarrow.parquet

    table: Any = pyarrow.parquet.read_table(path)
    columns = [column.to_numpy() for column in table.columns[1:]]
    return _classes(table.column_names), np.stack(columns, axis=1)


_READERS: Mapping[str, Callable[[Path], _Read]] = {
    "csv": _read_csv,
    "jsonl": _read_json_lines,
    "parquet": _read_parquet,
}


def _classes(columns: Sequence[str]) -> Sequence[str]:
    if tuple(columns[:2]) != _FIRST_COLUMNS or len(columns) < 3:
        raise ValueError(f"its columns must be {', '.join(_FIRST_COLUMNS)}, and classes")
    return columns[2:]


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no number")
    return number


def _need_pyarrow(path: Path) -> None:
    if find_spec("pyarrow") is None:
        raise UsageError(
            f"{path}: Parquet needs pyarrow, which is not installed: 'pip install pyarrow', or "
            "name the file .csv or .jsonl"
        )
