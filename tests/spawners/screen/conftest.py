"""The engines and recordings of the contract tests."""

from screen_fixtures import engine, opened

__all__ = ["engine", "opened"]
