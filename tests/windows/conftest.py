"""The fixtures of the contract tests, for what only a keeper of Windows promises."""

from spawner_fixtures import fifo, keepers, scripted, spawner

__all__ = ["fifo", "keepers", "scripted", "spawner"]
