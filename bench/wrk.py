"""Run wrk: a closed loop on one thread, so it measures throughput; its latencies are those of its own pace."""

import asyncio
import shutil
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from pathlib import Path

import msgspec

SCRIPT = Path(__file__).with_name("wrk.lua")
MARK = b"RESULT "


@dataclass(frozen=True, slots=True)
class Load:
    """`bodies`: a file with one request body a line."""

    url: str
    bodies: Path
    token: str
    connections: int


class LoadResult(msgspec.Struct):
    """`refused`: answers of 400 and more; `broken`: connections that failed or timed out. Not all tell percentiles."""

    requests: int
    duration_us: int
    refused: int
    broken: int
    p50_us: int | None = None
    p90_us: int | None = None
    p99_us: int | None = None
    p999_us: int | None = None

    @property
    def per_second(self) -> float:
        return self.requests / self.duration_us * 1_000_000


async def run_wrk(load: Load, seconds: float) -> LoadResult:
    """Raises RuntimeError with wrk's own words."""
    program = shutil.which("wrk") or "wrk"
    whole = max(1, round(seconds))
    options = ["-t1", f"-c{load.connections}", f"-d{whole}s", "-s", str(SCRIPT)]
    wrk = await asyncio.create_subprocess_exec(
        program, *options, load.url, "--", str(load.bodies), load.token, stdout=PIPE, stderr=PIPE
    )
    try:
        output, trouble = await wrk.communicate()
    except BaseException:
        wrk.kill()
        raise
    lines = [line for line in output.splitlines() if line.startswith(MARK)]
    if wrk.returncode != 0 or not lines:
        raise RuntimeError(f"wrk failed: {(output + trouble).decode(errors='replace')[-1000:]}")
    return msgspec.json.decode(lines[0][len(MARK) :], type=LoadResult)
