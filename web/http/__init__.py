"""HTTP parts that several routes need, each once: bodies, Accept, static files."""
