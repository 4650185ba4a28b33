"""WebSockets: uvicorn's protocol, on a connection that its HttpProtocol goes on watching."""

from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

if TYPE_CHECKING:
    from web.connection.protocol import HttpProtocol


class SocketProtocol(WebSocketsSansIOProtocol):
    """Tells the connection when its client does not read, and when it is lost: uvicorn's waits for ever to write."""

    def __init__(
        self, connection: "HttpProtocol", config: Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._connection = connection

    def pause_writing(self) -> None:
        super().pause_writing()
        self._connection.note_unread()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._connection.note_read()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._connection.connection_lost(exc)
