"""The wiring: what a process is made of, its HTTP server, its workers and its metrics."""
