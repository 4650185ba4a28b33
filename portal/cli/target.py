"""Which services a command is about: the configured ones, or those that a `portal run` keeps in its folder."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from portal.core.embedded.folder import HOST, Endpoint
from portal.core.embedded.postgres import NAME
from portal.core.errors import StartupError
from portal.core.redis.address import parse_shard
from portal.core.settings import Settings, load_settings

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of a running `portal run`; else the configured services.")
]


def settings_of(data: Path | None) -> Settings:
    """From the environment, or from the folder. Raises StartupError."""
    return load_settings() if data is None else _embedded_settings(data)


def describe_services(settings: Settings) -> dict[str, Any]:
    """Where they are, for the log."""
    amqp_url = settings.amqp_url
    return {
        "postgresql": place_of(settings.database_url.get_secret_value()),
        "redis": [parse_shard(url.get_secret_value()).name for url in settings.redis_urls],
        "rabbitmq": None if amqp_url is None else place_of(amqp_url.get_secret_value()),
    }


def place_of(url: str) -> str:
    """Host and port: never the password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _embedded_settings(data: Path) -> Settings:
    """The services that `portal run` keeps in the folder. Raises StartupError."""
    postgres, valkey = data / "postgres.json", data / "valkey.json"
    if not postgres.exists() or not valkey.exists():
        raise StartupError(f"{data} is no data folder of `portal run`.", hint="Name another with --data.")
    database, redis = Endpoint.load(postgres), Endpoint.load(valkey)
    return load_settings(
        database_url=f"postgresql+asyncpg://{NAME}:{database.password}@{HOST}:{database.port}/{NAME}",
        redis_urls=[f"redis://:{redis.password}@{HOST}:{redis.port}/0"],
        data=data,
        amqp_url=None,
    )
