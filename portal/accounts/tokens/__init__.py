"""Personal tokens for GraphQL and service tokens for gateways: created, authenticated, revoked."""
