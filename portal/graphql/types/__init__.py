"""The schema's types, queries and mutations: one file a domain."""
