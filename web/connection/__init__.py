"""A connection from its first byte to its end: how large, how many, how long, and what HTTP/1.1 allows.

limits     every bound in one place
head       a request line and its headers, parsed strictly, once for every route
body       a body of a known length, or chunked
exchange   one request over ASGI
protocol   the connection: frames requests and answers them in order
watch      the time of a connection, and its end
websocket  a connection that became a WebSocket
budget     how many connections a process holds, and which one goes for a new one: by what routes say of its caller
"""
