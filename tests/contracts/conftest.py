"""Fixtures that hand each contract test every implementation."""

from spawner_fixtures import fifo, scripted, spawner

__all__ = ["fifo", "scripted", "spawner"]
