"""The fixtures of the contract tests, for what only the keeper itself promises."""

from spawner_fixtures import fifo, scripted, spawner

__all__ = ["fifo", "scripted", "spawner"]
