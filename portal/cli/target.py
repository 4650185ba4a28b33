"""The services that a command talks to: the configured ones, or those that a `portal run` keeps in its folder."""

from pathlib import Path
from typing import Annotated

import typer

from portal.core.embedded import find_addresses
from portal.core.errors import StartupError
from portal.core.settings import Settings, load_settings

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Talk to the `portal run` of this folder instead of the configured services."),
]


def settings_of(data: Path | None) -> Settings:
    """Return the settings from the environment, or those of the `portal run` that keeps `data`. Raises StartupError."""
    return load_settings() if data is None else _embedded_settings(data)


def _embedded_settings(data: Path) -> Settings:
    addresses = find_addresses(data)
    if addresses is None:
        raise StartupError(f"{data} is not a data folder of `portal run`.", hint="Name another one with --data.")
    database_url, redis_urls = addresses
    return load_settings(database_url=database_url, redis_urls=list(redis_urls), data=data, amqp_url=None)
