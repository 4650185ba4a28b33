"""Who asks: session cookies, bearer tokens, and the test that a request comes from a page of ours."""
