"""The peers without any logic: an ASGI callable (`asgi`) and granian's own interface (`rsgi`), constant answers."""

from typing import Any

BODY = b'{"valid":true,"code":"VALID"}'
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))],
}
END = {"type": "http.response.body", "body": BODY}


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send(END)


async def rsgi(scope: Any, proto: Any) -> None:
    await proto()
    proto.response_bytes(200, [("content-type", "application/json")], BODY)
