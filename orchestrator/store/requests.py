"""The requests of agents that may have to be started again, as files only this host's owner can read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container

import msgspec

from relay.wire.agents import SpawnRequest
from relay.wire.private import replace_file

__all__ = ["Kept", "Requests"]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it was made; `remote`: through the relay."""

    request: SpawnRequest
    remote: bool = False


class Requests:
    """One file (0600) an agent with a restart policy, for as long as another may follow it.

    They hold the values of the environment variables that were asked for. Everywhere else those are
    forgotten once the program runs; but whoever asks for an agent to be started again without being there
    has to leave behind what it needs. So they are kept for such agents only, on this host only, and never
    sent anywhere.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def save(self, agent_id: str, kept: Kept) -> None:
        """Write `kept` down, whole or not at all. Raises `OSError`."""
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        path = self._path(agent_id)
        descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(kept))
            file.flush()
            os.fsync(file.fileno())
        replace_file(f"{path}.new", path)

    def load(self, agent_id: str) -> Kept | None:
        """Return what was kept; None if that is nothing, or cannot be read."""
        try:
            with open(self._path(agent_id), "rb") as file:
                return msgspec.json.decode(file.read(), type=Kept)
        except (OSError, msgspec.DecodeError):
            return None

    def delete(self, agent_id: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(agent_id))

    def keep_only(self, agent_ids: Container[str]) -> None:
        """Delete what is left of all other agents: of spawns that were cut off, say."""
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self._folder):
                if name.partition(".")[0] not in agent_ids:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(os.path.join(self._folder, name))

    def _path(self, agent_id: str) -> str:
        return os.path.join(self._folder, f"{agent_id}.json")
