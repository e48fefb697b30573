"""Programs of Windows, run under wine: the official CPython that `.ci/wine.sh` has put into a folder.

A run has a copy of wine's prefix and of Python for itself, so that its end takes along whatever it has left
behind; there this tree is installed, so that programs which hear nothing of variables find it too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "VARIABLE", "Wine", "prefix", "why_missing", "windows_path"]

VARIABLE = "MUSTER_TEST_WINE"
"""Environment variable with the folder that `.ci/wine.sh` has made."""

ROOT = Path(__file__).parents[2]


def why_missing() -> str:
    """Why nothing can be run under wine; empty: it can."""
    folder = os.environ.get(VARIABLE, "")
    if not folder or not os.path.exists(f"{folder}/complete"):
        return f"{VARIABLE} names no folder made by .ci/wine.sh"
    return "" if shutil.which("wine") and shutil.which("wineserver") else "wine is not on PATH"


@dataclass(frozen=True)
class Wine:
    """One prefix of wine, with the Python in `folder`."""

    folder: str
    prefix: str

    def environ(self, extra: Mapping[str, str] = {}) -> dict[str, str]:
        """Quiet, without what this Linux would tell a program of itself."""
        kept = {name: os.environ[name] for name in ("HOME", "PATH", "LANG") if name in os.environ}
        return {**kept, "WINEPREFIX": self.prefix, "WINEDEBUG": "-all", "PYTHONUTF8": "1", **extra}

    def python(
        self,
        *words: str,
        env: Mapping[str, str] = {},
        stdin: bytes = b"",
        timeout_s: float = 120.0,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `python.exe words` to its end, on pipes: Python does not start on files under wine 8.

        Raises `TimeoutExpired`.
        """
        return subprocess.run(
            ["wine", f"{self.folder}/python/python.exe", *words],
            input=stdin,
            capture_output=True,
            env=self.environ(env),
            timeout=timeout_s,
            check=False,
        )

    def kill(self) -> None:
        """End every program of this prefix, and return when that is done."""
        for what in ("-k", "-w"):
            subprocess.run(["wineserver", what], env=self.environ(), check=False, timeout=60)


@contextlib.contextmanager
def prefix() -> Iterator[Wine]:
    """A prefix and a Python of its own, whose programs are ended afterwards."""
    folder = os.environ[VARIABLE]
    with tempfile.TemporaryDirectory(prefix="mu-wine-", dir="/tmp") as place:
        for part in ("prefix", "python"):
            shutil.copytree(f"{folder}/{part}", f"{place}/{part}", symlinks=True, copy_function=_link)
        _install(Path(place, "python", "Lib", "site-packages"))
        wine = Wine(place, f"{place}/prefix")
        try:
            yield wine
        finally:
            wine.kill()


def _link(source: str, target: str) -> None:
    """The same file where that can be; wine writes its registry in place."""
    try:
        if source.endswith(".reg"):
            raise PermissionError
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _install(packages: Path) -> None:
    """What an installation of this tree is, as far as anybody asks."""
    said = packages / "musterd-0.1.0.dist-info"
    said.mkdir()
    (said / "METADATA").write_text("Metadata-Version: 2.1\nName: musterd\nVersion: 0.1.0\n")
    (packages / "musterd.pth").write_text(windows_path(ROOT) + "\n")


def windows_path(path: Path) -> str:
    """How a program under wine calls this file."""
    return "Z:" + str(path).replace("/", "\\")
