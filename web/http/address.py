"""The address that a request comes from."""

from starlette.requests import HTTPConnection


def client_address(connection: HTTPConnection) -> str | None:
    """Return the caller's address: the other end of the connection, or whom trusted proxies name (web.middleware)."""
    return connection.client.host if connection.client else None
