"""GraphQL as it travels: over HTTP, server-sent events and WebSocket."""
