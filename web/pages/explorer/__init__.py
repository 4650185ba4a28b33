"""The explorer: GraphiQL."""
