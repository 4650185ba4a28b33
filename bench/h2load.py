"""Run h2load as wrk's second opinion: HTTP/1.1, one thread, one body again and again (it replays no list of them)."""

import asyncio
import re
from asyncio.subprocess import PIPE

from bench.install import program
from bench.wrk import Load, LoadResult

_TOOK = re.compile(r"finished in ([\d.]+)(us|ms|s|m),")
_REQUESTS = re.compile(r"requests: .*?(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


async def run_h2load(load: Load, seconds: float) -> LoadResult:
    """With the first body of the file. Raises RuntimeError with h2load's own words."""
    body = load.bodies.with_suffix(".first")
    with load.bodies.open("rb") as bodies:
        body.write_bytes(bodies.readline().rstrip(b"\n"))
    options = ["--h1", "-t1", f"-c{load.connections}", f"-D{max(1, round(seconds))}", f"-d{body}"]
    headers = ["-HContent-Type: application/json", f"-HAuthorization: Bearer {load.token}"]
    h2load = await asyncio.create_subprocess_exec(
        program("h2load"), *options, *headers, load.url, stdout=PIPE, stderr=PIPE
    )
    try:
        output, trouble = await h2load.communicate()
    except BaseException:
        h2load.kill()
        raise
    text = output.decode(errors="replace")
    took, requests = _TOOK.search(text), _REQUESTS.search(text)
    if h2load.returncode != 0 or took is None or requests is None:
        raise RuntimeError(f"h2load failed: {(text + trouble.decode(errors='replace'))[-1000:]}")
    succeeded, failed, errored, timed_out = map(int, requests.groups())
    duration = float(took[1]) * _SECONDS[took[2]]
    return LoadResult(succeeded, round(duration * 1_000_000), failed, errored + timed_out)
