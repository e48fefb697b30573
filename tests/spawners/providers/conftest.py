"""Fixtures for running the real CLIs."""

from stub_fixtures import home, lonely, model

__all__ = ["home", "lonely", "model"]
