"""What is measured: something with a name that can be measured for some seconds, again and again."""

from dataclasses import dataclass, field
from typing import Any, Protocol


class WrongAnswers(Exception):
    """The round does not count, and neither does the run: what was answered is not right."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One round: `value` in the contender's unit; `details` are kept raw."""

    value: float
    details: dict[str, Any] = field(default_factory=dict)


class Contender(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def unit(self) -> str: ...

    @property
    def about(self) -> str:
        """One line for the report."""

    async def measure(self, seconds: float) -> Sample:
        """Raises WrongAnswers."""
