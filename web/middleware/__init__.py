"""What wraps every request: headers, metrics, compression, errors, timeouts."""
