"""What can be done, by its name in the log: each verb declares its action beside itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """Something that is recorded. `name` is stored as domain.verb and never changes.

    `words` are what the activity page puts between who did it and what it was done to, like "paused the key".
    """

    name: str
    words: str

    def __post_init__(self) -> None:
        """Register it under its name. Raises ValueError if another action has that name already."""
        if _ACTIONS.setdefault(self.name, self) != self:
            raise ValueError(f"there are two actions {self.name}")


_ACTIONS: dict[str, Action] = {}


def find_action(name: str) -> Action | None:
    """Return the action that the log calls `name`, or None for one that no verb declares (any more)."""
    return _ACTIONS.get(name)


def list_actions() -> list[Action]:
    """Return all that are declared, by name."""
    return [_ACTIONS[name] for name in sorted(_ACTIONS)]
