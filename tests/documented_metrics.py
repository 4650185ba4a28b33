"""What a real scrape shows, beside docs/reference/metrics.md, which is generated from the code that names metrics."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "metrics.md"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \|", re.MULTILINE)


def find_undocumented(text: str) -> list[str]:
    """Return the portal's metrics of an OpenMetrics text that the page does not list with their kind."""
    documented = dict(ROW.findall(PAGE.read_text()))
    shown = re.findall(r"^# TYPE (portal_\w+) (\w+)$", text, re.MULTILINE)
    assert shown, "no metric of the portal in this text"
    return [
        f"{name} {kind}"
        for name, kind in shown
        if documented.get(name.removesuffix("_total") + "_total" if kind == "counter" else name) != kind
    ]
