"""A gateway in thirty lines: it asks the portal about each request, and serves or refuses it.

    SERVICE_TOKEN=… uvicorn --app-dir docs/examples gateway:app --port 9000

`PORTAL_URL` is where the portal listens (http://127.0.0.1:8000 unless it is set).
"""

import os

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

portal = httpx2.AsyncClient(
    base_url=os.environ.get("PORTAL_URL", "http://127.0.0.1:8000"),
    headers={"Authorization": f"Bearer {os.environ['SERVICE_TOKEN']}"},
    timeout=2,
)


async def search(request: Request) -> Response:
    """Serve the one route of this API, if the caller's key admits it."""
    key = request.headers.get("x-api-key", "")
    if not key:
        return JSONResponse({"detail": "Send your API key as X-API-Key."}, 401)
    answer = await portal.post("/check/http", json={"key": key, "resource": "GET /v1/search", "cost": 1})
    limits = {name: value for name, value in answer.headers.items() if "ratelimit" in name or name == "retry-after"}
    if answer.status_code != 200:  # 401, 403 or 429 with a problem document, 503 when no decision was possible
        return Response(answer.content, answer.status_code, limits, answer.headers["content-type"])
    return JSONResponse({"results": ["a result"]}, headers=limits)


app = Starlette(routes=[Route("/v1/search", search)])
