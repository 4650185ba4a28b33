"""RabbitMQ for the tests: the one that is named, one on this machine, or a private one of their own."""
