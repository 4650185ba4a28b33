"""Who is in the demo: three accounts on the three plans, their people, and their keys with what became of each."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from portal.accounts import NewMember
from portal.cli.demo.usage import OFFICE, STEADY
from portal.core.actor import Role

KeyFate = Literal["none", "paused", "rotated", "revoked"]

ACCOUNT_AGE = timedelta(days=95)
HISTORY: dict[KeyFate, timedelta] = {
    "revoked": timedelta(days=20),
    "paused": timedelta(days=12),
    "rotated": timedelta(hours=5),
}
"""How long ago it happened, the oldest first."""
OVERLAP = timedelta(days=1)
REVOKED_BECAUSE = "Found in a public repository"


@dataclass(frozen=True, slots=True)
class DemoKey:
    """`daily_calls` on an average day; `age_days` since it was created; `expires_in_days` from now."""

    name: str
    age_days: int
    daily_calls: int
    rhythm: str = OFFICE
    environment: str = "live"
    scopes: tuple[str, ...] = ("orders:*", "search:read")
    allowed_ips: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    expires_in_days: int | None = None
    fate: KeyFate = "none"


@dataclass(frozen=True, slots=True)
class CastAccount:
    """`login` names its owner in the ready file, if it is there; the first key is the plan's demo key."""

    login: str | None
    name: str
    plan: str
    owner: tuple[str, str]
    members: tuple[NewMember, ...]
    keys: tuple[DemoKey, ...]


NORTHWIND = CastAccount(
    login="developer",
    name="Northwind Labs",
    plan="pro",
    owner=("ada@northwind.example", "Ada Park"),
    members=(
        NewMember("ben@northwind.example", "Ben Ito", Role.DEVELOPER),
        NewMember("carla@northwind.example", "Carla Gomez", Role.BILLING),
    ),
    keys=(
        DemoKey("Web shop", 93, 230, metadata={"team": "storefront"}),
        DemoKey("Mobile app", 90, 110, metadata={"team": "mobile"}, fate="rotated"),
        DemoKey("Nightly export", 80, 26, STEADY, scopes=("orders:read",), expires_in_days=3),
        DemoKey("Old warehouse", 75, 30, STEADY, fate="paused"),
        DemoKey("Intern's script", 60, 14, scopes=("search:read",), fate="revoked"),
        DemoKey("Continuous integration", 92, 22, environment="test"),
    ),
)
CONTOSO = CastAccount(
    login="other_developer",
    name="Contoso",
    plan="free",
    owner=("dana@contoso.example", "Dana Weiss"),
    members=(NewMember("eli@contoso.example", "Eli Novak", Role.VIEWER),),
    keys=(
        DemoKey("Prototype", 91, 70),
        DemoKey("Laptop", 85, 12, environment="test"),
        DemoKey("Hackathon", 70, 20, fate="revoked"),
        DemoKey("Chat bot", 50, 10, STEADY, scopes=("search:read",), fate="paused"),
    ),
)
FABRIKAM = CastAccount(
    login=None,
    name="Fabrikam",
    plan="enterprise",
    owner=("farah@fabrikam.example", "Farah Aziz"),
    members=(NewMember("gus@fabrikam.example", "Gus Lind", Role.ADMIN),),
    keys=(
        DemoKey("Platform", 94, 190, STEADY, metadata={"region": "eu-central"}),
        DemoKey("Partner gateway", 88, 70, STEADY, allowed_ips=("203.0.113.0/24",), fate="rotated"),
        DemoKey("Load test", 87, 30, environment="test"),
        DemoKey("Retired partner", 82, 25, STEADY, fate="revoked"),
    ),
)
CAST = (NORTHWIND, CONTOSO, FABRIKAM)
STAFF_EMAIL = "staff@portal.example"
STAFF_ACCOUNT = "Portal staff"
GATEWAY = "Demo gateway"
