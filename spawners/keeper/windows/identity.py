# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""Which process is meant, and since when the machine runs."""

import ctypes
import winreg
from ctypes import wintypes

from spawners.keeper.windows import api

BOOT_KEY = "Software\\muster-boot"
VOLATILE, KEY_READ = 1, 0x20019


def started_of(pid: int) -> int:
    """When the process began, in 100 ns since 1601; 0 if there is none that may be looked at."""
    process = api.open_process(api.QUERY, False, pid)
    if not process:
        return 0
    try:
        return api.started_and_used(process)[0]
    except OSError:
        return 0
    finally:
        api.close_handle(process)


def name_of(process: int) -> str:
    """The name of the program's file, without its folder; empty if it cannot be told."""
    text, size = ctypes.create_unicode_buffer(1024), wintypes.DWORD(1024)
    if not api.process_name(process, 0, text, size):
        return ""
    return text.value.rpartition("\\")[2]


def boot_id() -> str:
    """Another one after each time that all programs of this user have ended; empty if none can be had.

    The time at which a key was made that Windows itself forgets at that moment. The clock may be set as it
    likes, and a machine that "starts fast" out of hibernation counts as started.
    """
    key = wintypes.HANDLE()
    if api.create_key(winreg.HKEY_CURRENT_USER, BOOT_KEY, 0, None, VOLATILE, KEY_READ, None, key, None):
        return ""
    try:
        return str(winreg.QueryInfoKey(key.value or 0)[2])
    finally:
        winreg.CloseKey(key.value or 0)


class MemoryEvidence:
    """Windows kills nothing for memory: an allocation fails, and the program says so or crashes."""

    def verdict(self, pid: int, started: int) -> "tuple[str, str]":
        return "", ""
