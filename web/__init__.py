"""The HTTP process: the check lane, GraphQL, the pages, static files, health.

A page is a row in routes.py: a path, a GraphQL document and a template. Pages read and change nothing but through
GraphQL, so whatever a page shows or does, an outside frontend can too. Everything works without JavaScript.
"""
