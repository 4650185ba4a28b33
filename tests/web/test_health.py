"""Health and metrics."""

from starlette.applications import Starlette

from tests.web.conftest import Browser
from web.app import create_app


async def test_everything_is_ready(anonymous: Browser) -> None:
    assert (await anonymous.get("/livez")).text == "ok\n"
    assert (await anonymous.get("/readyz/check")).status_code == 200
    ready = await anonymous.get("/readyz/portal?verbose")
    assert ready.status_code == 200
    assert ready.json() == {"ready": True, "parts": {"postgresql": "ok", "migrations": "ok", "redis": "ok"}}


async def test_metrics_name_routes_and_never_keys(ann: Browser) -> None:
    key_id = await ann.create_key()
    await ann.get(f"/keys/{key_id}")
    metrics = await ann.get("/metrics")
    assert metrics.headers["Content-Type"].startswith("application/openmetrics-text")
    assert 'portal_http_requests_total{method="GET",route="/keys/{id}",status="200"}' in metrics.text
    assert key_id not in metrics.text
    assert ann.actor.account_id not in metrics.text
    assert metrics.text.endswith("# EOF\n")


async def test_each_half_alone(app: Starlette) -> None:
    services = app.state.services
    for only, page, check in (("check", 404, 405), ("portal", 303, 404)):
        ann = Browser(create_app(services, only=only))  # type: ignore[arg-type]  # a tuple forgets the literals
        assert (await ann.get("/keys")).status_code == page
        assert (await ann.get("/check")).status_code == check
        assert (await ann.get("/livez")).status_code == 200
        await ann.client.aclose()
