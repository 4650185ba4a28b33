"""The peer: a Starlette route without logic; it reads the body and answers a constant."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def check(request: Request) -> JSONResponse:
    await request.body()
    return JSONResponse({"valid": True, "code": "VALID"})


app = Starlette(routes=[Route("/check", check, methods=["POST"])])
