"""Sign-in tries that nobody counts, for tests that are about something else."""


class Unlimited:
    """A throttle that lets everybody through; it is each of their tries too."""

    async def allow(self, email: str, address: str | None, device: str | None = None) -> "Unlimited":
        return self

    async def allow_sign_up(self, address: str | None) -> None: ...

    async def fail(self) -> None: ...

    async def succeed(self) -> None: ...

    async def give_back(self) -> None: ...
