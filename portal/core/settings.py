"""Settings from PORTAL_* environment variables. Every mistake is reported at start, all at once."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from portal.core.errors import StartupError
from portal.core.redis.address import parse_shard, split_shards


class Settings(BaseSettings):
    """One instance a process, made by the cli and passed down. Durations carry their unit in the name."""

    model_config = SettingsConfigDict(env_prefix="PORTAL_", extra="ignore")

    database_url: SecretStr = Field(description="postgresql+asyncpg://…, the role that owns the tables")
    redis_urls: Annotated[list[SecretStr], NoDecode] = Field(
        min_length=1, description="one URL a shard, by commas; see shard_address.py"
    )
    base_url: str = Field(default="http://127.0.0.1:8000", description="links in mails and cookies' security follow it")
    data: Path = Field(default=Path(".portal"), description="folder of the journal and of embedded services")
    product_name: str = Field(default="API Key Portal", max_length=60)
    key_prefix: str = Field(default="pk", pattern=r"^[a-z][a-z0-9]{0,9}$")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    database_pool_size: int = Field(default=10, ge=1, le=200)
    check_deadline_ms: int = Field(default=25, ge=1, le=1000, description="longest wait for Redis in a check")
    expected_processes: int = Field(
        default=2, ge=1, le=1000, description="how many serve checks: each admits its part where a plan says local"
    )
    policy_max_age_seconds: int = Field(default=3600, ge=1, description="a cached policy is loaded anew after this")
    policy_cache_size: int = Field(default=100_000, ge=1)
    is_pubsub_enabled: bool = Field(default=True, description="spares a round trip after a change; never needed")
    journal_segment_bytes: int = Field(default=16 * 1024 * 1024, ge=4096)
    journal_sync_ms: int = Field(
        default=200, ge=0, description="longest stretch a power failure can lose; 0: each turn"
    )
    graphql_allowance: int = Field(
        default=100_000, ge=20_000, le=100_000_000, description="what a caller may spend on GraphQL within a minute"
    )
    shipper_batch: int = Field(default=5000, ge=1, le=50_000)
    amqp_url: SecretStr | None = Field(
        default=None, description="amqp(s)://…: usage goes through RabbitMQ; without it the courier ingests itself"
    )
    amqp_prefetch: int = Field(default=64, ge=1, le=1000, description="batches that an ingest worker holds at most")
    dead_letter_days: int = Field(default=90, ge=0, le=3650, description="dead letters are kept so long; 0: for ever")
    worker_port: int = Field(
        default=0, ge=0, le=65535, description="where a worker tells how it is, on worker_host; 0: nowhere"
    )
    worker_host: str = Field(default="127.0.0.1")

    retention_raw_months: int = Field(default=13, ge=1, le=1200, description="whole months kept beside the current one")
    retention_minute_months: int = Field(default=3, ge=1, le=1200)
    retention_quarter_months: int = Field(default=25, ge=1, le=1200)
    retention_day_months: int = Field(default=120, ge=1, le=1200)
    retention_quarantine_days: int = Field(
        default=400, ge=0, le=3650, description="what could not be counted is kept so long; 0: for ever"
    )
    invoice_grace_minutes: int = Field(
        default=60,
        ge=0,
        le=10_080,
        description="an invoice is finalized so long after its period, for what is on its way",
    )
    metering_late_days: int = Field(default=35, ge=1, le=365, description="how old an external usage event may be")

    @field_validator("redis_urls", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_shards(value) if isinstance(value, str) else value

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

    @property
    def invoice_grace(self) -> timedelta:
        return timedelta(minutes=self.invoice_grace_minutes)

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https://")


def load_settings(**known: Any) -> Settings:
    """Settings from the environment, `known` winning. Raises StartupError naming every wrong variable."""
    try:
        return Settings(**known)
    except ValidationError as error:
        lines = [f"  PORTAL_{'_'.join(str(p) for p in e['loc'][:1]).upper()}: {e['msg']}" for e in error.errors()]
        raise StartupError(
            "The settings are not usable:\n" + "\n".join(lines),
            hint="\nSet them in the environment, or where there is --data name the folder of a running `portal run`.",
        ) from None
