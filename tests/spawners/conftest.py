"""The fixtures of the contract tests, for what only the keeper itself promises."""

from spawner_fixtures import fifo, keepers, scripted, spawner
from systemd_user import user_manager

__all__ = ["fifo", "keepers", "scripted", "spawner", "user_manager"]
