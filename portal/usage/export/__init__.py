"""Export: raw events or buckets of an account as a file of any size.

query.py         which rows of which range, and their columns
export_usage.py  start (audited), estimate, and the file chunk by chunk
encoders.py      CSV, JSON Lines, Parquet: rows in, bytes out
store.py         the statements
"""

from portal.usage.export.encoders import ExportFormat
from portal.usage.export.export_usage import ExportChunk, estimate_rows, export_usage, start_export
from portal.usage.export.query import ExportQuery, ExportRows

__all__ = [
    "ExportChunk",
    "ExportFormat",
    "ExportQuery",
    "ExportRows",
    "estimate_rows",
    "export_usage",
    "start_export",
]
