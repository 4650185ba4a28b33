"""GraphQL as it travels: over HTTP, server-sent events and WebSocket. What it means is portal.graphql's.

endpoint          POST and GET /graphql, and the explorer for browsers
http_messages     what a request asks for, bounded before it is read; from a result to status, headers and body
sse               subscriptions as server-sent events
websocket         subscriptions by graphql-transport-ws
live_connections  who stays connected, and for how long

Nothing is imported here: web.services names ConnectionRegistry, and everything else here needs web.services.
"""
