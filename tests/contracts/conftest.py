"""Fixtures that hand each contract test every implementation."""

from spawner_fixtures import fifo, keepers, scripted, spawner

__all__ = ["fifo", "keepers", "scripted", "spawner"]
