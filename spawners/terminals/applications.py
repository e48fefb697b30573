"""Where the applications of a Mac are: bundles, in one of a few folders or known to Spotlight."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import time

__all__ = ["find_application"]

FOLDERS = (
    "/Applications",
    "~/Applications",
    "/System/Applications/Utilities",
    "/System/Applications",
    "/Applications/Utilities",
    "/Applications/Setapp",
)
ASK_S = 1.0
AGAIN_S = 60.0
"""For how long Spotlight's answer counts; to be asked takes some ten milliseconds."""

_SILENT = ""
_ANSWERS: dict[tuple[str, str], tuple[float, str | None]] = {}


def find_application(bundle: str, name: str, path: str) -> str | None:
    """The path of the application `name` with this bundle identifier, or None. `path` is for `mdfind`."""
    for folder in FOLDERS:
        found = os.path.join(os.path.expanduser(folder), f"{name}.app")
        if _bundle_of(found) == bundle:
            return found
    return _from_spotlight(bundle, path)


def _bundle_of(application: str) -> str | None:
    try:
        with open(os.path.join(application, "Contents", "Info.plist"), "rb") as file:
            found = plistlib.load(file).get("CFBundleIdentifier")
    except (OSError, ValueError, plistlib.InvalidFileException, AttributeError):
        return None
    return found if isinstance(found, str) else None


def _from_spotlight(bundle: str, path: str) -> str | None:
    asked_at, answer = _ANSWERS.get((bundle, path), (-AGAIN_S, None))
    if time.monotonic() - asked_at < AGAIN_S:
        return answer
    found = next((line for line in _ask(bundle, path) if _bundle_of(line) == bundle), None)
    _ANSWERS[bundle, path] = time.monotonic(), found
    return found


def _ask(bundle: str, path: str) -> list[str]:
    """Ask Spotlight; one that has just been silent is not asked for the others too."""
    mdfind = shutil.which("mdfind", path=path)
    if mdfind is None or time.monotonic() - _ANSWERS.get((_SILENT, path), (-AGAIN_S, None))[0] < AGAIN_S:
        return []
    try:
        query = f"kMDItemCFBundleIdentifier == '{bundle}'"
        said = subprocess.run(
            [mdfind, query], capture_output=True, stdin=subprocess.DEVNULL, timeout=ASK_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        _ANSWERS[_SILENT, path] = time.monotonic(), None
        return []
    return said.stdout.decode("utf-8", "replace").splitlines()
