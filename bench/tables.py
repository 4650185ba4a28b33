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
    ours = _cpu(full)[0] if full else None
    rows = [
        "| contender | server | Valkey | load generator | its server ÷ that of the full check |",
        "|---|---|---|---|---|",
    ]
    for one in measured:
        server, valkey, load = _cpu(one)
        ratio = f"{server / ours:.2f}" if ours else ""
        rows.append(f"| {one.name} | {server:.1f} | {valkey:.1f} | {load:.1f} | {ratio} |")
    return "\n".join(rows)


def _cpu(one: Measured) -> tuple[float, float, float]:
    names = ("cpu_server_us", "cpu_valkey_us", "cpu_load_us")
    server, valkey, load = (one.detail(name) or 0.0 for name in names)
    return server, valkey, load


def pages_table(results: Results) -> str:
    found = _details(results, "pages")
    if found is None:
        return ""
    rows = ["| p50 ms | p95 ms | what |", "|---|---|---|"]
    rows += [
        f"| {one['p50_ms']:.2f} | {one['p95_ms']:.2f} | `{_short(one['sql'])}` |" for one in found["slowest_statements"]
    ]
    rows += [
        f"| | {one['p95_ms']:.1f} | the page {one['page'].replace('|', ' ')}, {one['statements']} statements |"
        for one in found["pages"][:MAX_PAGES]
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
    one = results.find(name)
    return one.samples[-1].details if one else None
