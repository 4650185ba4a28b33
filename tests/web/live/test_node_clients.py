"""Clients as frontends use them, with their defaults: urql, Apollo Client, graphql-request, in Node."""

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.web.graphql_client import Visitor
from tests.web.live.clients import Portal

FOLDER = Path(__file__).parents[1] / "graphql_clients"
INSTALL_SECONDS, RUN_SECONDS = 300, 60


@pytest.mark.skipif(shutil.which("npm") is None and not os.environ.get("CI"), reason="node runs the clients")
async def test_every_client_gets_what_it_reads(portal: Portal, visitor: Visitor) -> None:
    if not (FOLDER / "node_modules" / "graphql-sse").exists():
        await run(INSTALL_SECONDS, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    results = json.loads(await run(RUN_SECONDS, "node", "clients.mjs", f"{portal.url}/graphql", visitor.token))
    assert {*results} == {"urql", "urqlByFetch", "apollo", "graphqlRequest"}
    for name, told in results.items():
        assert told["query"]["viewer"]["role"] == "owner", name
        assert told["mutation"]["pauseKey"]["__typename"] == "NotFoundProblem", name
        assert "subscription" not in told or "calls" in told["subscription"]["usageTicks"], name


async def run(seconds: float, *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=FOLDER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), seconds)
    assert process.returncode == 0, err.decode()
    return out.decode()
