"""`secrets.env` in the config folder: keys for agents that neither a shell nor a request has to hold."""

from __future__ import annotations

import re

from relay.wire.private import how_to_close, is_private
from spawners.providers.base import Provider
from spawners.providers.environment import Names

__all__ = ["Secrets", "SecretsError"]

LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")


class SecretsError(Exception):
    """The file cannot be used; the message says what to do and quotes nothing of it."""


class Secrets:
    """`KEY=VALUE` lines; `#` begins a comment line, and quotes around a whole value are not part of it.

    The file is read at every spawn, so a changed key needs no restart. Its values go into the
    environment of the agent that is started and nowhere else.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def of(self, provider: Provider) -> dict[str, str]:
        """What in the file is for `provider`: the names among its `variables`. Raises `SecretsError`."""
        if not provider.variables:
            return {}
        wanted = Names(provider.variables)
        return {name: value for name, value in self.read().items() if name in wanted}

    def read(self) -> dict[str, str]:
        """All of the file; empty if there is none. Raises `SecretsError`, also if others can read it."""
        try:
            with open(self.path, encoding="utf-8") as file:
                if not is_private(self.path):
                    raise SecretsError(
                        f"{self.path} holds keys and is open to other users: "
                        f"{how_to_close(self.path)}, then spawn again"
                    )
                lines = file.read().splitlines()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SecretsError(f"cannot read {self.path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SecretsError(f"{self.path} is not valid UTF-8") from None
        return dict(
            self._pair(number, line.strip())
            for number, line in enumerate(lines, 1)
            if line.strip() and not line.lstrip().startswith("#")
        )

    def _pair(self, number: int, line: str) -> tuple[str, str]:
        found = LINE.fullmatch(line)
        if found is None or "\0" in line:
            raise SecretsError(f"{self.path}:{number} is no KEY=VALUE line; mend it or begin it with #")
        value = found[2].strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        return found[1], value
