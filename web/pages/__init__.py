"""One folder an area, one document and one template a page; Python only where a page has rules of its own."""
