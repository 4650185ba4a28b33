"""Tell the connection of a request that its caller is known, so that it does not make room for strangers."""

from starlette.requests import HTTPConnection

from web.connection.budget import Rank


def note_rank(request: HTTPConnection, rank: Rank) -> None:
    """Note that a valid token or session came with this request; no-op where there is no connection, as in tests."""
    connection = request.scope.get("state", {}).get("connection")
    if connection is not None:
        connection.prove(rank)
