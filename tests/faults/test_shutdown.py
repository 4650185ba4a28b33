"""A server process that is told to end answers what it was asked, and only then ends."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.faults.conftest import serve
from tests.faults.tools.check_client import CheckAnswer, CheckClient
from tests.faults.tools.outages import frozen
from tests.faults.tools.place import Place
from tests.faults.tools.processes import STOP_SECONDS
from tests.faults.tools.report import Report, sized

ASKED = 40
HELD_SECONDS = 0.3


@pytest.mark.parametrize("number", sized([signal.SIGTERM], [signal.SIGTERM, signal.SIGINT]))
async def test_what_is_under_way_is_answered_before_the_end(
    place: Place, report: Report, tmp_path: Path, number: signal.Signals
) -> None:
    """Redis is held, so that the checks are under way when the signal comes; it goes on before their deadline."""
    key = await place.make_key(await place.customer((1_000_000, 60_000)))
    async with serve(place, tmp_path, servers=1, has_worker=True, PORTAL_CHECK_DEADLINE_MS="1000") as served:
        clients = [CheckClient(served.url, served.token) for _ in range(ASKED)]
        try:
            for client in clients:
                assert (await client.check({"key": key})).document["valid"]
            with frozen([place.services.valkey_pid]):
                asked = [asyncio.create_task(client.check({"key": key})) for client in clients]
                await asyncio.sleep(HELD_SECONDS)
                assert served.server is not None
                served.server.send_signal(number)
                await asyncio.sleep(HELD_SECONDS)
                with pytest.raises(OSError, match=r"."):
                    await CheckClient(served.url, served.token).check({"key": key})
            answers: list[CheckAnswer] = await asyncio.gather(*asked)
            code = await asyncio.to_thread(served.server.wait, STOP_SECONDS)
        finally:
            for client in clients:
                client.close()
        valid = [answer.document["requestId"] for answer in answers if answer.document["valid"]]
        report.tell(f"{number.name} under load", f"{len(valid)} of {ASKED} under way were answered, exit code {code}")
        assert len(valid) == ASKED
        assert {answer.headers.get("connection") for answer in answers} == {"close"}
        await place.await_stored(valid)
