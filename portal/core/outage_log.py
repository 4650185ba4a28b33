"""Log an outage of a server twice, whatever the number of tries: when it begins, and when it is over."""

from time import monotonic

from portal.core.logs import get_log


class OutageLog:
    """Log `{what}_not_heard` at the first failure and `{what}_heard_again` after the last, with `server`."""

    def __init__(self, what: str, server: str) -> None:
        self._what = what
        self._server = server
        self._since: float | None = None

    def failed(self, error: Exception) -> None:
        """Log the outage, unless it is logged already."""
        if self._since is None:
            self._since = monotonic()
            get_log(__name__).info(f"{self._what}_not_heard", server=self._server, error=str(error))

    def recovered(self) -> None:
        """Log that the outage is over, if there was one, and how long it lasted."""
        if self._since is not None:
            seconds, self._since = round(monotonic() - self._since, 1), None
            get_log(__name__).info(f"{self._what}_heard_again", server=self._server, after_seconds=seconds)
