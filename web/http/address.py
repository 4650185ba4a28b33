"""The address that a request comes from."""

from starlette.requests import HTTPConnection


def client_address(connection: HTTPConnection) -> str | None:
    """Return the address of the other end of the connection; no forwarding header is believed."""
    return connection.client.host if connection.client else None
