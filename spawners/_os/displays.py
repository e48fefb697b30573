# ruff: noqa: E402
import sys

assert sys.platform == "linux"

"""Whether a display is there: by greeting it as a program does, with the user's own right to enter."""

import asyncio
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["X11_SOCKETS", "NoDisplay", "greet_wayland", "greet_x11", "is_remote", "parse_display"]

X11_SOCKETS = "/tmp/.X11-unix"
ANSWER_S = 2.0
"""A display answers within milliseconds; one that hangs would not open a window either."""
_LOCAL, _WILD = 256, 65535
"""Families of Xauth(3): an address that is a host's name, and any."""


class NoDisplay(Exception):
    """The display cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class XDisplay:
    """A parsed DISPLAY: `host` is empty for a socket of this machine."""

    host: str
    number: int


def parse_display(text: str) -> XDisplay:
    """`host:number.screen`. Raises `NoDisplay` for what is none."""
    host, colon, rest = text.rpartition(":")
    number = rest.partition(".")[0]
    if not colon or not number.isdecimal():
        raise NoDisplay(f"DISPLAY={text} is not a display's name")
    return XDisplay("" if host in ("", "unix") else host, int(number))


def is_remote(text: str) -> bool:
    """Whether the display is reached over a network, as one that ssh forwards is."""
    try:
        return parse_display(text).host != ""
    except NoDisplay:
        return False


async def greet_x11(text: str, environ: Mapping[str, str]) -> None:
    """Connect to the X server that DISPLAY=`text` names and have it accept us. Raises `NoDisplay`."""
    display = parse_display(text)
    file = environ.get("XAUTHORITY") or os.path.join(
        environ.get("HOME") or os.path.expanduser("~"), ".Xauthority"
    )
    name, data = _right_to_enter(file, display)
    head = struct.pack("<BxHHHHxx", ord("l"), 11, 0, len(name), len(data))
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await _connect(display)
            try:
                writer.write(head + _padded(name) + _padded(data))
                answer = await reader.readexactly(8)
                reason = b"" if answer[0] == 1 else await reader.read(answer[1])
            finally:
                writer.close()
    except TimeoutError:
        raise NoDisplay(f"the X server of DISPLAY={text} does not answer") from None
    except (OSError, asyncio.IncompleteReadError) as error:
        raise NoDisplay(f"no X server at DISPLAY={text}: {_why(error)}") from None
    if answer[0] != 1:
        said = reason.decode("utf-8", "replace").strip() or "it wants more than a cookie"
        raise NoDisplay(f"the X server of DISPLAY={text} refuses: {said} (XAUTHORITY={file})")


async def greet_wayland(text: str, environ: Mapping[str, str]) -> None:
    """Connect to the compositor that WAYLAND_DISPLAY=`text` names and have it answer. Raises `NoDisplay`."""
    path = os.path.join(environ.get("XDG_RUNTIME_DIR", ""), text)
    if not os.path.isabs(path):
        raise NoDisplay(f"WAYLAND_DISPLAY={text} needs XDG_RUNTIME_DIR")
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(struct.pack("=IHHI", 1, 0, 12, 2))  # wl_display.sync, answered at once
                await reader.readexactly(8)
            finally:
                writer.close()
    except TimeoutError:
        raise NoDisplay(f"the compositor at {path} does not answer") from None
    except (OSError, asyncio.IncompleteReadError) as error:
        raise NoDisplay(f"no compositor at {path}: {_why(error)}") from None


def _why(error: Exception) -> str:
    return (getattr(error, "strerror", None) or "it closed the connection").lower()


async def _connect(display: XDisplay) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if display.host:
        return await asyncio.open_connection(display.host, 6000 + display.number)
    path = f"{X11_SOCKETS}/X{display.number}"
    try:
        return await asyncio.open_unix_connection(path)
    except OSError:
        return await asyncio.open_unix_connection("\0" + path)  # what XCB tries as well


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _right_to_enter(file: str, display: XDisplay) -> tuple[bytes, bytes]:
    """The name and the secret that Xlib would choose from the user's file; empty if there is none."""
    host = os.fsencode(socket.gethostname())
    try:
        with open(file, "rb") as opened:
            entries = list(_entries(opened.read()))
    except (OSError, struct.error):
        return b"", b""
    for family, address, number, name, data in entries:
        here = family == _WILD or (family == _LOCAL and address == host)
        if here and name == b"MIT-MAGIC-COOKIE-1" and number in (b"", b"%d" % display.number):
            return name, data
    return b"", b""


def _entries(data: bytes) -> Iterator[tuple[int, bytes, bytes, bytes, bytes]]:
    """The entries of an .Xauthority file: a family, then four strings with their lengths, big-endian."""
    at = 0
    while at < len(data):
        (family,) = struct.unpack_from(">H", data, at)
        at += 2
        strings = []
        for _ in range(4):
            (length,) = struct.unpack_from(">H", data, at)
            strings.append(data[at + 2 : at + 2 + length])
            at += 2 + length
        yield family, strings[0], strings[1], strings[2], strings[3]
