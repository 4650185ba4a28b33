"""Column shapes that every table uses: aware timestamps, JSON documents, text arrays."""

from typing import Any

from sqlalchemy import Column, DateTime, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

INSTANT = DateTime(timezone=True)
"""Type of a time that is bound to hand-written SQL: aware, in UTC."""


def time_column(*, is_nullable: bool = False, is_indexed: bool = False) -> Column[Any]:
    """Build a column of timestamps with time zone; values are aware and in UTC."""
    return Column(INSTANT, nullable=is_nullable, index=is_indexed)


def json_column(default: str = "{}") -> Column[Any]:
    """Build a column of JSON documents; `default` is JSON text."""
    return Column(JSONB, nullable=False, server_default=text(f"'{default}'::jsonb"))


def text_array_column(*, is_nullable: bool = False) -> Column[Any]:
    """Build a column of texts, empty by default, or NULL where that has a meaning of its own."""
    if is_nullable:
        return Column(ARRAY(Text), nullable=True)
    return Column(ARRAY(Text), nullable=False, server_default=text("'{}'::text[]"))
