"""Implementations of the port `Bus`."""
