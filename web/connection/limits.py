"""Every bound of a connection in one place: how large, how many, how long. docs/operations.md has them as a table."""

MAX_HEAD_BYTES = 16 * 1024
"""Of a request line with its headers, and of the trailers of a chunked body."""
MAX_HEADERS = 100
MAX_BLANK_LINES = 8
"""Before a request line."""
MAX_BODY_BYTES = 1024 * 1024
"""Of any route; most have smaller bounds of their own."""
MAX_UNREAD_BYTES = 16 * 1024
"""What is stored of a body before its route asks for it, and so before its token is known."""
MAX_CHUNK_LINE_BYTES = 256
MIN_CHUNK_BYTES = 16
"""On average, once MAX_SMALL_CHUNKS have come: each chunk costs time whatever its size."""
MAX_SMALL_CHUNKS = 4096
MAX_PIPELINE = 128
"""Checks of one connection that are decided at the same time."""

IDLE_SECONDS = 75.0
"""Between two requests: more than proxies keep an idle connection (nginx 60 s), so that they end it and not we."""
HEAD_SECONDS = 10.0
"""From the first byte of a head to its last, however steadily they come."""
BODY_SECONDS = 20.0
"""From the first byte of a body to its last."""
WRITE_SECONDS = 30.0
"""A reader that takes nothing for so long is gone."""
ANSWER_SECONDS = 300.0
"""A reader that takes little is given up after this time without having caught up."""
LINGER_SECONDS = 5.0
"""After an answer that ends the connection what still comes is read and dropped, or a reset would overtake it."""
LOOK_SECONDS = 10.0
"""A connection is looked at so often at least."""
