"""Smaller tables of the report; each is empty where the run has not what it takes."""

from typing import Any

from bench.results import Measured, Results

FULL = "check.windows.c32"
MAX_SQL = 140
MAX_PAGES = 5


def cpu_table(results: Results) -> str:
    """By process: a busy machine distorts these far less than checks a second."""
    measured = results.over_http()
    if not measured:
        return ""
    full = results.find(FULL)
    portal_figures = _cpu(full)[0] if full else None
    rows = [
        "| contender | server | Valkey | load generator | its server ÷ that of the full check |",
        "|---|---|---|---|---|",
    ]
    for row in measured:
        server, valkey, load = _cpu(row)
        ratio = f"{server / portal_figures:.2f}" if portal_figures else ""
        rows.append(f"| {row.name} | {server:.1f} | {valkey:.1f} | {load:.1f} | {ratio} |")
    return "\n".join(rows)


def _cpu(row: Measured) -> tuple[float, float, float]:
    names = ("cpu_server_us", "cpu_valkey_us", "cpu_load_us")
    server, valkey, load = (row.detail(name) or 0.0 for name in names)
    return server, valkey, load


def pages_table(results: Results) -> str:
    found = _details(results, "pages")
    if found is None:
        return ""
    rows = ["| p50 ms | p95 ms | what |", "|---|---|---|"]
    rows += [
        f"| {row['p50_ms']:.2f} | {row['p95_ms']:.2f} | `{_short(row['sql'])}` |" for row in found["slowest_statements"]
    ]
    rows += [
        f"| | {row['p95_ms']:.1f} | the page {row['page'].replace('|', ' ')}, {row['statements']} statements |"
        for row in found["pages"][:MAX_PAGES]
    ]
    return "\n".join(rows)


def _short(sql: str) -> str:
    plain = sql.replace("|", " ").replace("`", " ")
    return plain if len(plain) <= MAX_SQL else f"{plain[:MAX_SQL]} …"


def history_table(results: Results) -> str:
    found = _details(results, "history")
    if found is None:
        return ""
    rows = [f"| question (account), among {found['rows']:,} bucket rows | p95 ms |", "|---|---|"]
    rows += [f"| {name} | {p95:.1f} |" for name, p95 in found["p95_ms_by_question"].items()]
    return "\n".join(rows)


def _details(results: Results, name: str) -> dict[str, Any] | None:
    row = results.find(name)
    return row.samples[-1].details if row else None
