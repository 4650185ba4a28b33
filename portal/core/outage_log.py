"""A neighbour that is away, told twice whatever the number of tries: when it begins, and when it is over."""

from time import monotonic

from portal.core.logs import get_log


class OutageLog:
    """Logs `{what}_not_heard` and later `{what}_heard_again`, with `server`."""

    def __init__(self, what: str, server: str) -> None:
        self._what = what
        self._server = server
        self._since: float | None = None

    def failed(self, error: Exception) -> None:
        if self._since is None:
            self._since = monotonic()
            get_log(__name__).info(f"{self._what}_not_heard", server=self._server, error=str(error))

    def recovered(self) -> None:
        if self._since is not None:
            seconds, self._since = round(monotonic() - self._since, 1), None
            get_log(__name__).info(f"{self._what}_heard_again", server=self._server, after_seconds=seconds)
