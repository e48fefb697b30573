"""Settles a CLI's first-start questions in its own JSON files, before it runs."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import tempfile
from collections.abc import Iterable

from filelock import FileLock, Timeout

from relay.wire.private import replace_file
from spawners.errors import SpawnFailed
from spawners.providers.base import Edit
from spawners.providers.edits import EditRefused, edited

__all__ = ["make_edits"]

LOCK_S = 5.0
TRIES = 5
"""How often a file may be replaced by its CLI between our reading and our writing."""


def make_edits(edits: Iterable[Edit], locks: str) -> None:
    """Make every one of `edits`; `locks` is a folder of ours, so that two spawns do not write at once.

    A file is replaced in one step, keeps its mode and owner, and is not touched if nothing changes; a
    new one is private. A link stays one: what it leads to is written. Raises `SpawnFailed` that names
    the file and what to do; that file is as it was then.
    """
    for path, several in itertools.groupby(sorted(edits, key=_by_path), key=_by_path):
        real = os.path.realpath(path)
        name = hashlib.sha256(os.fsencode(real)).hexdigest()[:16]
        try:
            os.makedirs(locks, mode=0o700, exist_ok=True)
            with FileLock(os.path.join(locks, f"{name}.lock"), timeout=LOCK_S):
                _make(real, [*several])
        except EditRefused as error:
            raise SpawnFailed(
                f"cannot settle its first start in {path}: {error}; mend that file, or delete it if the CLI "
                "may begin anew"
            ) from None
        except Timeout:
            raise SpawnFailed(f"another start has been writing {path} for {LOCK_S:g} s; try again") from None
        except OSError as error:
            raise SpawnFailed(
                f"cannot settle its first start in {path}: {error.strerror}; make it yours to write",
                error.errno,
            ) from None


def _by_path(edit: Edit) -> str:
    return edit.path


def _make(path: str, edits: list[Edit]) -> None:
    for _ in range(TRIES):
        before = _stamp(path)
        text = edited(_read(path), edits)
        if text is None or _replace(path, text, before):
            return
    raise EditRefused("its CLI writes it all the time (stop that for a moment)")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise EditRefused(f"it is not valid UTF-8 ({error.reason})") from None


def _replace(path: str, text: str, before: os.stat_result | None) -> bool:
    """Write `text` beside `path` and put it there; False if somebody else has written meanwhile."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(prefix=".muster-", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            os.chmod(beside, before.st_mode & 0o7777)
            if hasattr(os, "chown"):
                with contextlib.suppress(PermissionError):
                    os.chown(beside, before.st_uid, before.st_gid)
        if not _same(before, _stamp(path)):
            return False
        replace_file(beside, path)
        return True
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)


def _stamp(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _same(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.st_ino, one.st_mtime_ns, one.st_size) == (other.st_ino, other.st_mtime_ns, other.st_size)
