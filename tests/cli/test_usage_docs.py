"""The examples of docs/usage.md are executed, in their order, against a running portal."""

import asyncio
import json
import re
from pathlib import Path

from portal.core.clock import utc_now
from tests.cli.demo_portal import DemoPortal

PAGE = (Path(__file__).parents[2] / "docs" / "usage.md").read_text()
EXAMPLES = re.findall(r"```sh\n(curl.+?)```\n```json\n(.+?)```", PAGE, re.DOTALL)


async def test_the_examples_answer_what_they_say(demo_portal: DemoPortal) -> None:
    assert len(EXAMPLES) == 2
    facts = demo_portal.facts
    environment = {
        "PORTAL": facts["url"],
        "SERVICE_TOKEN": facts["service_token"],
        "ACCOUNT_ID": facts["logins"]["developer"]["account_id"],
        "NOW": utc_now().isoformat(),
    }
    for script, answer in EXAMPLES:
        shell = await asyncio.create_subprocess_exec(
            "sh", "-c", script, env=environment, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await shell.communicate()
        assert without_ids(out.decode()) == without_ids(answer)


def without_ids(text: str) -> object:
    return json.loads(re.sub(r'"req_[^"]*"', '"req_…"', text))
