"""Fixtures that hand each contract test every implementation."""

from screen_fixtures import engine, opened
from spawner_fixtures import fifo, keepers, scripted, spawner

__all__ = ["engine", "fifo", "keepers", "opened", "scripted", "spawner"]
