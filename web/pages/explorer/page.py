"""The explorer: GraphiQL for signed-in people, from files of our own.

Its page alone may load fonts that lie in its style sheet as data: addresses; everything else is refused as everywhere.
"""

from starlette.requests import Request
from starlette.responses import Response

from portal.core.clock import utc_now
from web.auth.session import require_visitor
from web.middleware import CONTENT_SECURITY_POLICY
from web.pages.framework import Page, PageRequest, render_page

EXPLORER = Page("/graphql", "explorer/show")
POLICY = CONTENT_SECURITY_POLICY.replace("font-src 'self'", "font-src 'self' data:")


async def show_explorer(request: Request) -> Response:
    """Show the explorer. Nothing in the address (`?query=`) runs by itself. Raises SignInNeeded."""
    response = await render_page(PageRequest(request, await require_visitor(request), utc_now()), EXPLORER)
    response.headers["Content-Security-Policy"] = POLICY
    return response
