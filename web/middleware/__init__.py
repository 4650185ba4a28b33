"""What wraps every request of a browser, from the outside in.

proxies           the caller's address, where trusted proxies stand in front
security_headers  the headers of every answer, and the request's id
metrics           how many requests and how long
compress          gzip for pages and files
errors            what a person or a program sees when something failed
origins           lets listed other origins call the API, by token only (CORS); refuses what else another site makes a
                  browser send (CSRF)
"""

from web.middleware.compress import MIN_BYTES, CompressionMiddleware
from web.middleware.errors import EXCEPTION_HANDLERS, ErrorMiddleware
from web.middleware.metrics import MetricsMiddleware
from web.middleware.origins import NOTHING, CorsMiddleware, CsrfMiddleware
from web.middleware.proxies import TrustedProxiesMiddleware
from web.middleware.security_headers import CONTENT_SECURITY_POLICY, SecurityHeadersMiddleware

__all__ = [
    "CONTENT_SECURITY_POLICY",
    "EXCEPTION_HANDLERS",
    "MIN_BYTES",
    "NOTHING",
    "CompressionMiddleware",
    "CorsMiddleware",
    "CsrfMiddleware",
    "ErrorMiddleware",
    "MetricsMiddleware",
    "SecurityHeadersMiddleware",
    "TrustedProxiesMiddleware",
]
