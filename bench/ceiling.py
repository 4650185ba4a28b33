"""Two HTTP servers that decide nothing: what the protocol alone can do. `python bench/ceiling.py bytes|lane PORT FILE`.

`bytes` is an asyncio protocol with httptools that answers constant bytes; `lane` is our lane in front of a desk that
gives a constant reply. FILE holds the body, a real answer of ours, so that both send what we send.
"""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httptools
import uvicorn

from web.check.handler import OnReply
from web.check.protocol import CheckProtocol
from web.check.replies import Reply

BODY = Path(sys.argv[3]).read_bytes() if len(sys.argv) > 3 else b"{}"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Bytes:
    """The least that a protocol can do: parse, and answer each message."""

    def __init__(self, *_arguments: Any, **_named: Any) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def eof_received(self) -> None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...

    def on_message_complete(self) -> None:
        self._transport.write(ANSWER)

    def shutdown(self) -> None:
        self._transport.close()


class ConstantDesk:
    def is_known(self, _token: str) -> bool:
        return True

    def serve(self, _path: str, _token: str | None, _body: bytes, on_reply: OnReply) -> None:
        on_reply(Reply(200, BODY))


class App:
    """Never called."""

    state = SimpleNamespace(services=SimpleNamespace(check_handler=ConstantDesk()))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


if __name__ == "__main__":
    uvicorn.run(
        App(),
        http=CheckProtocol if sys.argv[1] == "lane" else Bytes,  # type: ignore[arg-type]  # it makes no use of its base class
        port=int(sys.argv[2]),
        lifespan="off",
        proxy_headers=False,
        access_log=False,
        log_level="warning",
        server_header=False,
    )
