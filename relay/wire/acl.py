"""Access lists of files, where those and not modes say who may open one: the calls of advapi32.

Nothing here is called where `supported` is False.
"""

from __future__ import annotations

import errno
import functools
import importlib
import os
import re
from typing import Any

__all__ = ["is_private", "restrict", "says_private", "supported"]

supported: bool = not hasattr(os, "getuid")
"""Where files have a user's number, their modes say who may open one."""
ctypes: Any = importlib.import_module("ctypes") if supported else None  # every command would wait for it

_FILE_OBJECT = 1
_DACL = 0x4
_OWNER = 0x1
_PROTECTED = 0x80000000
_TOKEN_QUERY, _TOKEN_USER = 0x8, 1
_REVISION = 1
_ACE = re.compile(r"\(([^)]*)\)")
_OF_THE_MACHINE = frozenset({"SY", "BA", "LA", "S-1-5-18", "S-1-5-32-544"})
"""The system and its administrators, who can take every file anyway. LA is the one that Windows is born with:
it is called so even where it is the user of this process."""
_OF_THE_OWNER = frozenset({"OW", "CO", "S-1-3-4", "S-1-3-0"})


def restrict(path: str) -> None:
    """Let this user alone at `path` and at what will be made in it; nothing is inherited from above.

    Raises `PermissionError` if others still get in: the disk keeps no access lists, or not ours to set.
    """
    advapi = _advapi()
    descriptor, dacl = ctypes.c_void_p(), ctypes.c_void_p()
    there, by_default = ctypes.c_int(), ctypes.c_int()
    text = f"D:P(A;OICI;FA;;;{_own_sid()})"
    if not advapi.ConvertStringSecurityDescriptorToSecurityDescriptorW(
        text, _REVISION, ctypes.byref(descriptor), None
    ):
        raise _failed(path)
    try:
        advapi.GetSecurityDescriptorDacl(
            descriptor, ctypes.byref(there), ctypes.byref(dacl), ctypes.byref(by_default)
        )
        wanted = _DACL | _PROTECTED
        advapi.SetNamedSecurityInfoW(path, _FILE_OBJECT, wanted, None, None, dacl, None)  # also what is in it
        if not is_private(path):
            advapi.SetFileSecurityW(path, wanted, descriptor)
    finally:
        _kernel().LocalFree(descriptor)
    if not is_private(path):
        raise PermissionError(
            errno.EPERM, "others can open it, and its disk takes no access list; choose one with NTFS", path
        )


def is_private(path: str) -> bool:
    """Whether nobody but this user, the system and its administrators may open `path`."""
    return says_private(_described(path), _own_sid())


def says_private(described: str, own: str) -> bool:
    """Whether this owner and access list, in SDDL, are those of a file that is private to the user `own`."""
    owner, _, aces = described.partition("D:")
    allowed = _OF_THE_MACHINE | {own}
    if owner.removeprefix("O:").partition("G:")[0] not in allowed or "NO_ACCESS_CONTROL" in aces:
        return False
    entries = [entry.split(";") for entry in _ACE.findall(aces)]
    open_to = {entry[5] for entry in entries if not entry[0].startswith(("D", "OD", "XD"))}
    return bool(entries) and open_to <= allowed | _OF_THE_OWNER


def _described(path: str) -> str:
    """Owner and access list of `path` in the system's own words (SDDL). Raises `OSError`."""
    advapi = _advapi()
    descriptor, text = ctypes.c_void_p(), ctypes.c_wchar_p()
    wanted = _OWNER | _DACL
    code = advapi.GetNamedSecurityInfoW(
        path, _FILE_OBJECT, wanted, None, None, None, None, ctypes.byref(descriptor)
    )
    if code:
        raise _failed(path, code)
    try:
        if not advapi.ConvertSecurityDescriptorToStringSecurityDescriptorW(
            descriptor, _REVISION, wanted, ctypes.byref(text), None
        ):
            raise _failed(path)
        said = text.value or ""
        _kernel().LocalFree(text)
    finally:
        _kernel().LocalFree(descriptor)
    return said


@functools.cache
def _own_sid() -> str:
    """The user of this process, as `S-1-…`."""
    kernel, advapi = _kernel(), _advapi()
    token, size, text = ctypes.c_void_p(), ctypes.c_uint32(), ctypes.c_wchar_p()
    if not advapi.OpenProcessToken(kernel.GetCurrentProcess(), _TOKEN_QUERY, ctypes.byref(token)):
        raise _failed("")
    try:
        buffer = ctypes.create_string_buffer(512)
        if not advapi.GetTokenInformation(token, _TOKEN_USER, buffer, len(buffer), ctypes.byref(size)):
            raise _failed("")
    finally:
        kernel.CloseHandle(token)
    sid = ctypes.c_void_p.from_buffer(buffer)  # TOKEN_USER begins with the pointer
    if not advapi.ConvertSidToStringSidW(sid, ctypes.byref(text)):
        raise _failed("")
    said = text.value or ""
    kernel.LocalFree(text)
    return said


def _failed(path: str, code: int | None = None) -> OSError:
    last: int = code or ctypes.get_last_error()
    return OSError(errno.EACCES, "cannot set or read its access list", path, last)


@functools.cache
def _kernel() -> Any:
    library = ctypes.WinDLL("kernel32", use_last_error=True)
    library.GetCurrentProcess.restype = ctypes.c_void_p
    library.LocalFree.argtypes = [ctypes.c_void_p]
    library.CloseHandle.argtypes = [ctypes.c_void_p]
    return library


@functools.cache
def _advapi() -> Any:
    library = ctypes.WinDLL("advapi32", use_last_error=True)
    pointer, text, number = ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_uint32
    signatures = {
        "OpenProcessToken": (pointer, number, pointer),
        "GetTokenInformation": (pointer, number, pointer, number, pointer),
        "ConvertSidToStringSidW": (pointer, pointer),
        "ConvertStringSecurityDescriptorToSecurityDescriptorW": (text, number, pointer, pointer),
        "ConvertSecurityDescriptorToStringSecurityDescriptorW": (pointer, number, number, pointer, pointer),
        "GetSecurityDescriptorDacl": (pointer, pointer, pointer, pointer),
        "SetNamedSecurityInfoW": (text, number, number, pointer, pointer, pointer, pointer),
        "GetNamedSecurityInfoW": (text, number, number, pointer, pointer, pointer, pointer, pointer),
        "SetFileSecurityW": (text, number, pointer),
    }
    for name, arguments in signatures.items():
        getattr(library, name).argtypes = arguments
    return library
