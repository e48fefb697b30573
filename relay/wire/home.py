"""Where Muster keeps its files, so that the relay, the daemon and the command find each other's."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import tempfile
from dataclasses import dataclass
from typing import Any

import platformdirs

from relay.wire.local import FORCE_TCP, HAS_SOCKETS, Local, read_local
from relay.wire.private import private_folder, read_text, write_private

__all__ = ["Home"]

SOCKET_PATH_MAX = 100
"""Room for a socket's path: sun_path holds 108 bytes on Linux and 104 on macOS, with the closing NUL."""


DARWIN_USER_TEMP_DIR = 65537
"""`_CS_DARWIN_USER_TEMP_DIR` of macOS' <unistd.h>."""


def _temporary_of_the_user() -> str | None:
    """The folder that macOS gives each user; asked of the system, because TMPDIR, which mostly names it, is
    another one, or missing, over ssh and in a service: whoever has not the same would find no daemon."""
    confstr = getattr(os, "confstr", lambda _: None)
    try:
        folder: str | None = confstr(DARWIN_USER_TEMP_DIR)
    except (OSError, ValueError):  # no macOS
        return None
    return folder


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of one Muster installation; `MUSTER_HOME` puts all of them in one place."""

    state: str
    config: str
    runtime: str
    tcp: bool = not HAS_SOCKETS
    """Whether the daemon listens on loopback, and `daemon_socket` is a file that says where."""

    @classmethod
    def from_environment(cls) -> Home:
        """Return the folders by `MUSTER_HOME`, else the platform's own."""
        override = os.environ.get("MUSTER_HOME")
        tcp = not HAS_SOCKETS or os.environ.get(FORCE_TCP) == "tcp"
        if override:
            root = os.path.abspath(os.path.expanduser(override))
            return cls(root, root, os.path.join(root, "run"), tcp)
        state = platformdirs.user_state_dir("muster", appauthor=False)
        config = platformdirs.user_config_dir("muster", appauthor=False)
        return cls(state, config, os.path.join(state, "run"), tcp)

    def prepare(self) -> None:
        """Create the folders, private to the user. Raises `OSError` if that is not possible.

        The folder of the sockets may lie where others can write (/tmp): one that is somebody else's,
        or open to others, is refused.
        """
        for folder in (self.state, self.config):
            private_folder(folder)
        self.prepare_private(self.sockets)

    def prepare_private(self, folder: str) -> None:
        """Create a folder that may lie where others can write. Raises `OSError` if it is somebody else's."""
        private_folder(folder)
        status = os.lstat(folder)
        if hasattr(os, "getuid") and (status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode)):
            raise PermissionError(errno.EPERM, "the folder of the sockets belongs to somebody else", folder)
        if hasattr(os, "getuid") and stat.S_IMODE(status.st_mode) & 0o077:
            os.chmod(folder, 0o700)

    @property
    def config_file(self) -> str:
        return os.path.join(self.config, "config.toml")

    @property
    def secrets_file(self) -> str:
        """The owner's keys for agents; this user's to read and nobody else's."""
        return os.path.join(self.config, "secrets.env")

    @property
    def admin_token_file(self) -> str:
        return os.path.join(self.state, "admin.token")

    @property
    def relay_database(self) -> str:
        return os.path.join(self.state, "relay.db")

    @property
    def host_database(self) -> str:
        return os.path.join(self.state, "host.db")

    @property
    def agents(self) -> str:
        return os.path.join(self.state, "agents")

    @property
    def logs(self) -> str:
        return os.path.join(self.state, "logs")

    @property
    def cache(self) -> str:
        return os.path.join(self.state, "cache")

    @property
    def relay_lock(self) -> str:
        return os.path.join(self.state, "relay.lock")

    @property
    def host_lock(self) -> str:
        return os.path.join(self.state, "host.lock")

    @property
    def relay_record(self) -> str:
        """`{"url", "pid"}` of the relay that runs from here, written once it listens."""
        return os.path.join(self.state, "relay.json")

    @property
    def host_record(self) -> str:
        """`{"pid", …}` of the daemon that runs from here, written once it listens."""
        return os.path.join(self.state, "host.json")

    @property
    def sockets(self) -> str:
        """The folder of all sockets: `runtime`, or a short one where paths in it would be too long.

        An agent's socket adds `/ag-` and 12 digits and `.sock` to it.
        """
        if len(os.fsencode(self.runtime)) + 24 <= SOCKET_PATH_MAX:
            return self.runtime
        base = _temporary_of_the_user() or os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        short = os.path.join(base, os.path.basename(self.plain_runtime))
        return short if len(os.fsencode(short)) + 24 <= SOCKET_PATH_MAX else self.plain_runtime

    @property
    def plain_runtime(self) -> str:
        """A folder of this home whose path is short, and letters, digits, `/` and `-` alone."""
        digest = hashlib.sha256(os.fsencode(self.runtime)).hexdigest()[:12]
        user = os.getuid() if hasattr(os, "getuid") else 0
        return f"/tmp/muster-{user}-{digest}"

    @property
    def daemon_socket(self) -> str:
        return os.path.join(self.sockets, "daemon.sock")

    @property
    def local(self) -> Local:
        """Where the daemon listens; where nobody does if there is none."""
        return read_local(self.daemon_socket) or Local()

    def read_record(self, path: str) -> dict[str, Any] | None:
        """Return one of the JSON records above, or None if it is absent or half-written."""
        try:
            record = json.loads(read_text(path))
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) else None

    def write_private(self, path: str, text: str) -> None:
        """Replace `path` with `text` in one step, readable by this user only."""
        write_private(path, text)

    def admin_token(self) -> str | None:
        """Return the token that the relay's first start wrote here, or None."""
        try:
            return read_text(self.admin_token_file).strip() or None
        except OSError:
            return None
