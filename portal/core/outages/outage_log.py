"""Log an outage of a server twice, whatever the number of tries: when it begins, and when it is over."""

from time import monotonic

from portal.core.logs import get_log


class OutageLog:
    """Log `{what}_not_heard` at the first failure and `{what}_heard_again` after the last, with `server`."""

    def __init__(self, what: str, server: str) -> None:
        self._what = what
        self._server = server
        self._over_at = 0.0
        self._since: float | None = None

    def failed(self, error: Exception, quiet_seconds: float = 0.0) -> None:
        """Log the outage, unless it is logged already.

        `quiet_seconds`: how long nothing may fail before it is over, where some calls work and others do not.
        """
        now = monotonic()
        self._over_at = max(self._over_at, now + quiet_seconds)
        if self._since is None:
            self._since = now
            get_log(__name__).info(f"{self._what}_not_heard", server=self._server, error=str(error) or repr(error))

    def recovered(self) -> None:
        """Log that the outage is over, if there was one, and how long it lasted."""
        if self._since is not None and monotonic() >= self._over_at:
            seconds, self._since = round(monotonic() - self._since, 1), None
            get_log(__name__).info(f"{self._what}_heard_again", server=self._server, after_seconds=seconds)
