"""Encoders of the export: rows in, bytes out, nothing kept but the encoder's own few pages.

CSV is RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe in front, there only: JSON Lines
and Parquet hold every text exactly as it was counted.
"""

import codecs
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol

import msgspec

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_encode_lines = msgspec.json.Encoder().encode_lines


class ExportFormat(StrEnum):
    CSV = "csv"
    CSV_EXCEL = "csv-excel"
    JSONL = "jsonl"
    PARQUET = "parquet"

    @property
    def suffix(self) -> str:
        """Return what a file of this format is called by, without the dot."""
        return self.value.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Shape:
    """Columns in order; those that are not instants or whole numbers are texts."""

    instants: tuple[str, ...]
    numbers: tuple[str, ...]
    columns: tuple[str, ...]


class Encoder(Protocol):
    """`rows_at_once` is how many rows `add` is meant to get."""

    rows_at_once: ClassVar[int]

    def __init__(self, shape: Shape) -> None: ...

    def head(self) -> bytes: ...

    def add(self, rows: Sequence[Sequence[Any]]) -> bytes: ...

    def finish(self) -> bytes: ...


class CsvEncoder:
    rows_at_once: ClassVar[int] = 2_000

    def __init__(self, shape: Shape) -> None:
        self._columns = shape.columns

    def head(self) -> bytes:
        return self.add([self._columns])

    def add(self, rows: Sequence[Sequence[Any]]) -> bytes:
        text = io.StringIO()
        csv.writer(text).writerows([[_cell(value) for value in row] for row in rows])
        return text.getvalue().encode()

    def finish(self) -> bytes:
        return b""


class ExcelCsvEncoder(CsvEncoder):
    """CSV with a byte order mark, without which Excel takes UTF-8 for the encoding of its machine."""

    def head(self) -> bytes:
        return codecs.BOM_UTF8 + super().head()


class JsonLinesEncoder:
    rows_at_once: ClassVar[int] = 2_000

    def __init__(self, shape: Shape) -> None:
        self._columns = shape.columns

    def head(self) -> bytes:
        return b""

    def add(self, rows: Sequence[Sequence[Any]]) -> bytes:
        return _encode_lines([dict(zip(self._columns, map(_plain, row), strict=True)) for row in rows])

    def finish(self) -> bytes:
        return b""


class ParquetEncoder:
    """A row group a call; times are microseconds in UTC. pyarrow is loaded by the first export that asks for it."""

    rows_at_once: ClassVar[int] = 20_000

    def __init__(self, shape: Shape) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = dict.fromkeys(shape.instants, pa.timestamp("us", "UTC")) | dict.fromkeys(shape.numbers, pa.int64())
        self._schema = pa.schema([(name, types.get(name, pa.string())) for name in shape.columns])
        self._record_batch = pa.RecordBatch.from_arrays
        self._array = pa.array
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(pa.PythonFile(self._sink, "w"), self._schema)

    def head(self) -> bytes:
        return self._sink.take()

    def add(self, rows: Sequence[Sequence[Any]]) -> bytes:
        columns = zip(*rows, strict=True)
        arrays = [self._array(column, kind.type) for column, kind in zip(columns, self._schema, strict=True)]
        self._writer.write_batch(self._record_batch(arrays, schema=self._schema))
        return self._sink.take()

    def finish(self) -> bytes:
        self._writer.close()
        return self._sink.take()


class _Sink(io.RawIOBase):
    """A file that is read off as it is written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


ENCODERS: dict[ExportFormat, type[Encoder]] = {
    ExportFormat.CSV: CsvEncoder,
    ExportFormat.CSV_EXCEL: ExcelCsvEncoder,
    ExportFormat.JSONL: JsonLinesEncoder,
    ExportFormat.PARQUET: ParquetEncoder,
}


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return _plain(value)


def _plain(value: Any) -> Any:
    """Format an instant as GraphQL writes it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value
