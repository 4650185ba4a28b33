"""The peer: FastAPI + limits, its async moving window on Redis, one window a key and nothing else.

Environment: REDIS_URL.
"""

import os
from typing import Any

from fastapi import FastAPI
from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from pydantic import BaseModel

LIMIT = RateLimitItemPerMinute(100_000)
MAX_CONNECTIONS = 256
"""More than are ever open to it: with redis-py's own 100 it answers 500 to some of 128 at once."""
storage = RedisStorage("async+" + os.environ["REDIS_URL"], implementation="redispy", max_connections=MAX_CONNECTIONS)
limiter = MovingWindowRateLimiter(storage)
app = FastAPI()


class Check(BaseModel):
    key: str
    resource: str = ""


@app.post("/check")
async def check(request: Check) -> dict[str, Any]:
    is_admitted = await limiter.hit(LIMIT, request.key)
    return {"valid": is_admitted, "code": "VALID" if is_admitted else "RATE_LIMITED"}
