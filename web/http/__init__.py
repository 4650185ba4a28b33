"""HTTP parts that several routes need, each once.

accept      what a client accepts: media types by weight, gzip
address     where a request comes from
assets      static files, cached by their content
bearer      the token of an Authorization header
body        a body up to a size
metrics     the text of /metrics
rate_limit  the RateLimit headers
"""

from web.http.accept import accept_of, accepts_gzip, parse_accept, preference_of, preferred_type, wants_html
from web.http.address import client_address
from web.http.assets import Assets, asset
from web.http.bearer import bearer_token
from web.http.body import read_body
from web.http.metrics import CollectMetrics, collect_here, metrics_route, render_metrics
from web.http.rate_limit import header_dict, rate_limit_lines

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
