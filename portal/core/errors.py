"""Errors as types. Each has a stable `code` that GraphQL problems and REST documents repeat, and its HTTP status."""

from typing import ClassVar


class PortalError(Exception):
    """An expected failure. `message` says what happened, `hint` what to do, `path` which input it is about."""

    code: ClassVar[str] = "PORTAL_ERROR"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str | None = None, path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.path = path

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class StartupError(PortalError):
    """A process cannot start: a setting, a service or a file is not as it must be."""

    code = "STARTUP"


class Unauthenticated(PortalError):
    """The caller is not signed in."""

    code = "UNAUTHENTICATED"
    http_status = 401


class Forbidden(PortalError):
    """The caller's role or token does not allow this."""

    code = "FORBIDDEN"
    http_status = 403


class NotFound(PortalError):
    """The object does not exist, or belongs to another account: the caller cannot tell which."""

    code = "NOT_FOUND"
    http_status = 404


class Invalid(PortalError):
    """An input is not acceptable; `path` names the field."""

    code = "INVALID"
    http_status = 422


class MalformedBody(Exception):
    """The body of a request is not JSON."""


class InvalidBody(Exception):
    """The body of a request is JSON, but a value is not acceptable; the text names it."""


class Conflict(PortalError):
    """The object is not in a state that allows this."""

    code = "CONFLICT"
    http_status = 409


class TooManyAttempts(PortalError):
    """Slow down; the message says for how long."""

    code = "TOO_MANY_ATTEMPTS"
    http_status = 429


class Unavailable(PortalError):
    """The database or Redis did not answer in time."""

    code = "UNAVAILABLE"
    http_status = 503
