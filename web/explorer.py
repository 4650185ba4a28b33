"""The explorer: GraphiQL for signed-in people, from files of our own."""

from starlette.requests import Request
from starlette.responses import Response

from portal.core.clock import utc_now
from web.page import Asked, Page, show
from web.session import require_person

EXPLORER = Page("/graphql", "explorer/show")


async def show_explorer(request: Request) -> Response:
    """Raises SignInNeeded. What is in the address (`?query=`) is the editor's affair: nothing of it runs by itself."""
    return await show(Asked(request, await require_person(request), utc_now()), EXPLORER)
