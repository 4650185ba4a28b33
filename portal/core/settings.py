"""Settings from PORTAL_* environment variables. Every mistake is reported at start, all at once."""

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from portal.core.errors import StartupError
from portal.core.proxies import TrustedProxies
from portal.core.redis.address import parse_shard, split_shards

_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Caps:
    """How many keys, tokens and sessions there may be at once; what was revoked or has ended does not count."""

    keys: int
    personal_tokens: int
    service_tokens: int
    sessions: int


class Settings(BaseSettings):
    """One instance a process, made at its start and passed down. Names carry their unit.

    The text under a field is its row in docs/reference/settings.md.
    """

    model_config = SettingsConfigDict(env_prefix="PORTAL_", extra="ignore", use_attribute_docstrings=True)

    database_url: SecretStr
    """`postgresql+asyncpg://…`: PostgreSQL 15 or newer, as the role that owns the tables."""
    redis_urls: Annotated[list[SecretStr], NoDecode] = Field(min_length=1)
    """One URL a shard, separated by commas; see [shards](../operations.md#shards)."""
    base_url: str = "http://127.0.0.1:8000"
    """Where the portal is reached. Links and the security of cookies follow it; use https beyond loopback."""
    data: Path = Path(".portal")
    """Folder of the journal, and of the embedded servers of `portal run`."""
    trusted_proxies: Annotated[list[str], NoDecode] = []
    """Networks of the proxies in front of the portal, separated by commas, or how many there are; see
    [behind a proxy](../operations.md#behind-a-proxy)."""
    allowed_origins: Annotated[list[str], NoDecode] = []
    """Origins of other sites whose pages may call the API with tokens, separated by commas, like `https://app.example`;
    see [frontends](../guides/graphql.md#from-a-page-of-another-origin)."""
    product_name: str = Field(default="API Key Portal", max_length=60)
    """The name that pages show."""
    key_prefix: str = Field(default="pk", pattern=r"^[a-z][a-z0-9]{0,9}$")
    """What API keys begin with."""
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    """The least severe log line that is written: DEBUG, INFO, WARNING or ERROR."""

    max_connections: int = Field(default=10_000, ge=16, le=1_000_000)
    """HTTP connections that a process holds at most, and never more than its descriptors allow; see
    [connections](../operations.md#connections)."""
    max_connections_per_address: int = Field(default=0, ge=0, le=1_000_000)
    """Of these, how many may come from one address before a service token was sent on them; 0: half of them."""
    drain_seconds: int = Field(default=0, ge=0, le=600)
    """After SIGTERM `portal serve` says for so long that it is not ready, and goes on serving, before it stops; give it
    what your balancer takes to notice."""

    database_pool_size: int = Field(default=10, ge=1, le=200)
    """Connections to PostgreSQL that a process opens at most."""
    check_deadline_ms: int = Field(default=25, ge=1, le=1000)
    """The longest that a check waits for Redis."""
    expected_processes: int = Field(default=2, ge=1, le=1000)
    """How many processes serve checks; each admits its part of a limit where a plan's failure policy is `local`."""
    policy_max_age_seconds: int = Field(default=3600, ge=1)
    """A cached policy is loaded again after this."""
    outage_hours: int = Field(default=24, ge=1, le=720)
    """How long known keys and service tokens keep verifying while PostgreSQL is away or refuses; see
    [PostgreSQL](../operations.md#when-a-dependency-is-down)."""
    policy_cache_size: int = Field(default=100_000, ge=1)
    """Keys that a process remembers."""
    journal_segment_bytes: int = Field(default=16 * 1024 * 1024, ge=4096)
    """Size at which the journal begins another file."""
    journal_sync_ms: int = Field(default=200, ge=0)
    """The longest stretch of usage that a power failure can lose; a kill -9 loses none. 0: sync in each turn."""
    journal_keep_hours: int = Field(default=24, ge=0, le=720)
    """How long shipped usage stays on the node's disk, to count it again after a restore of PostgreSQL; see
    [backup and restore](../operations.md#backup-and-restore). 0: not at all."""
    graphql_allowance: int = Field(default=100_000, ge=20_000, le=100_000_000)
    """What a caller may spend on GraphQL within a minute; see [its guide](../guides/graphql.md)."""
    max_keys: int = Field(default=10_000, ge=1)
    """Keys that an account may have at once, without revoked ones."""
    max_personal_tokens: int = Field(default=100, ge=1)
    """Personal tokens that a person may have at once in an account, without ended ones."""
    max_service_tokens: int = Field(default=1_000, ge=1)
    """Service tokens that there may be at once, without revoked ones."""
    max_sessions: int = Field(default=100, ge=1)
    """Sessions that a person may have at once; signing in beyond it ends the one that was unused for longest."""
    shipper_batch: int = Field(default=5000, ge=1, le=50_000)
    """Usage records in a message at most."""
    amqp_url: SecretStr | None = None
    """`amqp(s)://…`: RabbitMQ 3.10 or newer. Without it the shipper ingests by itself."""
    amqp_prefetch: int = Field(default=64, ge=1, le=1000)
    """Batches that an ingest worker holds at most."""
    dead_letter_days: int = Field(default=90, ge=0, le=3650)
    """How long dead letters are kept; 0: for ever."""
    worker_port: int = Field(default=0, ge=0, le=65535)
    """Where a worker serves its health and metrics; 0: nowhere."""
    worker_host: str = "127.0.0.1"
    """The address of that port."""

    metrics_port: int = Field(default=0, ge=0, le=65535)
    """Where `portal serve` and `portal run` serve /metrics instead of on their public port; 0: there."""
    metrics_host: str = "127.0.0.1"
    """The address of that port."""

    retention_raw_months: int = Field(default=13, ge=1, le=1200)
    """Whole months of raw usage events kept beside the current one; see [retention](../usage.md#retention)."""
    retention_minute_months: int = Field(default=3, ge=1, le=1200)
    """The same for minute buckets."""
    retention_quarter_months: int = Field(default=25, ge=1, le=1200)
    """The same for quarter-hour buckets."""
    retention_day_months: int = Field(default=120, ge=1, le=1200)
    """The same for day buckets."""
    retention_quarantine_days: int = Field(default=400, ge=0, le=3650)
    """How long the quarantine keeps what could not be counted; 0: for ever."""
    invoice_grace_minutes: int = Field(default=60, ge=0, le=10_080)
    """An invoice is finalized this long after the end of its month, for usage that is still on its way."""
    provider_time_zone: str = "UTC"
    """Your time zone, like `Europe/Berlin`: the year in an invoice's number is that in which it is issued there."""
    metering_late_days: int = Field(default=35, ge=1, le=365)
    """How old an event at `POST /usage/events` may be; see [usage](../usage.md#external-metering)."""

    @field_validator("redis_urls", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_shards(value) if isinstance(value, str) else value

    @field_validator("trusted_proxies", "allowed_origins", mode="before")
    @classmethod
    def _split_list(cls, value: Any) -> Any:
        return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_proxies(cls, value: list[str]) -> list[str]:
        TrustedProxies.parse(value)
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, value: list[str]) -> list[str]:
        if wrong := next((origin for origin in value if not _ORIGIN.fullmatch(origin.lower())), None):
            raise ValueError(f"{wrong[:80]!a} is no origin; write each like https://app.example, without a path")
        return [origin.lower() for origin in value]

    @field_validator("provider_time_zone")
    @classmethod
    def _is_time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{value[:80]!a} is no time zone; write it like Europe/Berlin") from None
        return value

    @field_validator("database_url")
    @classmethod
    def _is_asyncpg(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith("postgresql+asyncpg://"):
            raise ValueError("must start with postgresql+asyncpg://")
        return value

    @field_validator("amqp_url")
    @classmethod
    def _is_amqp(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("amqp://", "amqps://")):
            raise ValueError("must start with amqp:// or amqps://")
        return value

    @field_validator("redis_urls")
    @classmethod
    def _are_redis(cls, value: list[SecretStr]) -> list[SecretStr]:
        shards = [parse_shard(url.get_secret_value()) for url in value]
        if missing := next((shard.ca for shard in shards if shard.ca and not Path(shard.ca).is_file()), None):
            raise ValueError(f"there is no file {missing}, which ca names")
        names = [shard.name for shard in shards]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two shards are called {twice}, and accounts are spread by name")
        return value

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value.rstrip("/")

    @cached_property
    def proxies(self) -> TrustedProxies:
        """Whose word about a caller's address is believed."""
        return TrustedProxies.parse(self.trusted_proxies)

    @property
    def caps(self) -> Caps:
        return Caps(self.max_keys, self.max_personal_tokens, self.max_service_tokens, self.max_sessions)

    @property
    def outage_seconds(self) -> float:
        return self.outage_hours * 3600

    @property
    def invoice_grace(self) -> timedelta:
        return timedelta(minutes=self.invoice_grace_minutes)

    @cached_property
    def provider_zone(self) -> ZoneInfo:
        return ZoneInfo(self.provider_time_zone)

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https://")


def load_settings(**known: Any) -> Settings:
    """Load settings from the environment, `known` winning. Raises StartupError naming every wrong variable."""
    try:
        return Settings(**known)
    except ValidationError as error:
        lines = [f"  PORTAL_{'_'.join(str(p) for p in e['loc'][:1]).upper()}: {e['msg']}" for e in error.errors()]
        raise StartupError(
            "The settings are not usable:\n" + "\n".join(lines),
            hint="\nSet them in the environment, or where there is --data name the folder of a running `portal run`.",
        ) from None
