"""Sessions of browsers: signing in and out, the account they act in, revoking them; the sign-in throttle."""
