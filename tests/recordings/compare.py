"""`compare A B`: which records differ, in groups, with the first lines of each difference."""

import difflib
import re
from pathlib import Path

from tests.recordings.product import tell
from tests.recordings.record import NAME_LINE

LINES_MOST = 24


def load_records(folder: Path) -> dict[tuple[str, str], list[str]]:
    """Lines by (file, name)."""
    records: dict[tuple[str, str], list[str]] = {}
    for path in sorted(folder.glob("*.txt")):
        lines: list[str] = []
        for line in path.read_text(encoding="utf-8").split("\n"):
            if line.startswith(NAME_LINE):
                lines = records.setdefault((path.stem, line.removeprefix(NAME_LINE)), [])
            else:
                lines.append(line)
    if not records:
        raise SystemExit(f"{folder} holds no recording")
    return records


def load_explanations(path: Path | None) -> list[tuple[re.Pattern[str], str]]:
    """Lines `name-pattern: reason`; the pattern is searched in "file name". The last ": " divides them."""
    explained = []
    for line in path.read_text().splitlines() if path else ():
        if line.strip() and not line.startswith("#"):
            pattern, _, reason = line.rpartition(": ")
            if not pattern or not reason.strip():
                raise SystemExit(f"not `name-pattern: reason`: {line}")
            explained.append((re.compile(pattern), reason.strip()))
    return explained


def compare(left: Path, right: Path, explanations: Path | None) -> int:
    """Print every difference; 1 if one is not explained."""
    before, after, known = load_records(left), load_records(right), load_explanations(explanations)
    open_count, explained_count, shown = 0, 0, set[str]()
    for key in [*before, *(key for key in after if key not in before)]:
        if before.get(key) == after.get(key):
            continue
        title = " ".join(key)
        reason = next((reason for pattern, reason in known if pattern.search(title)), None)
        if reason is not None:
            explained_count += 1
            tell(f"explained  {title}: {reason}")
            continue
        open_count += 1
        state = "only in the first" if key not in after else "only in the second" if key not in before else "differs"
        tell(f"\n{state}  {title}")
        excerpt = _excerpt(before.get(key, []), after.get(key, []))
        tell("  as in a difference above" if excerpt in shown else excerpt)
        shown.add(excerpt)
    tell(f"\n{len(before)} and {len(after)} records, {open_count} differences, {explained_count} explained")
    return int(open_count > 0)


def _excerpt(before: list[str], after: list[str]) -> str:
    lines = [line.rstrip("\n") for line in difflib.unified_diff(before, after, lineterm="", n=1)][2:]
    more = len(lines) - LINES_MOST
    return "\n".join(f"  {line[:400]}" for line in lines[:LINES_MOST]) + (
        f"\n  … {more} more lines" if more > 0 else ""
    )
