"""Figures of the fault tests: printed as they come, and kept in build/faults/report.md by the long form."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

Sized = TypeVar("Sized")
IS_LONG = os.environ.get("PORTAL_FAULTS") == "long"
FILE = Path(__file__).parents[3] / "build" / "faults" / "report.md"


class Report:
    """One a session."""

    def __init__(self) -> None:
        if IS_LONG:
            FILE.parent.mkdir(parents=True, exist_ok=True)
            FILE.write_text(f"# Faults, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n\n")

    def tell(self, name: str, text: str) -> None:
        sys.stdout.write(f"\n  {name}: {text}\n")
        if IS_LONG:
            with FILE.open("a") as file:
                file.write(f"- **{name}**: {text}\n")


def sized(short: Sized, long: Sized) -> Sized:
    """The load, or the cases, of the form that runs."""
    return long if IS_LONG else short
