"""`portal schema`: print the GraphQL schema."""

import typer

from portal.graphql import sdl


def schema() -> None:
    """Print the GraphQL schema (SDL), the same as schema.graphql."""
    typer.echo(sdl().rstrip("\n"))
