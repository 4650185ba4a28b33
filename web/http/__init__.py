"""HTTP parts that several routes need, each once.

request     what a request says: address, bearer token, Accept, a body up to a size
assets      static files, cached by their content
metrics     the text of /metrics
rate_limit  the RateLimit headers
"""

from web.http.assets import Assets, asset
from web.http.metrics import CollectMetrics, collect_here, metrics_route, render_metrics
from web.http.rate_limit import header_dict, rate_limit_lines
from web.http.request import (
    accept_of,
    accepts_gzip,
    bearer_token,
    client_address,
    parse_accept,
    preference_of,
    preferred_type,
    read_body,
    wants_html,
)

__all__ = [
    "Assets",
    "CollectMetrics",
    "accept_of",
    "accepts_gzip",
    "asset",
    "bearer_token",
    "client_address",
    "collect_here",
    "header_dict",
    "metrics_route",
    "parse_accept",
    "preference_of",
    "preferred_type",
    "rate_limit_lines",
    "read_body",
    "render_metrics",
    "wants_html",
]
