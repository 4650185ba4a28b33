"""Signing in, signing up, signing out."""
