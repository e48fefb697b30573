"""Terminal emulation by libghostty-vt, the core of a real terminal (pyghostty, through cffi)."""

from __future__ import annotations

import re
import weakref
from typing import Any

from pyghostty import ffi, lib

from spawners.launch import Size
from spawners.screen.base import VIEWED_MODES, Cell, Cursor, Modes
from spawners.screen.ghostty_cells import CellReader
from spawners.screen.ghostty_history import SLACK, History, grid_ref, pieces
from spawners.screen.ghostty_types import POINTERS, new, new_bytes, size_of

__all__ = ["GhosttyScreen"]

REPLY_BYTES = 64 * 1024
CELL_PIXELS = (8, 16)
"""Width and height of a cell, for programs that ask; there is no window to measure."""
FOREGROUND, BACKGROUND = (0xD0, 0xD0, 0xD0), (0, 0, 0)
"""What a program is told that asks for the colours: a dark theme, as most terminals have."""
KEYPAD, ORIGIN = 66, 6
INSERT = 4 | 1 << 15  # bit 15 marks an ANSI mode
CLUSTERS = 2027  # several code points that form one character take one cell, as programs count them
DELETE = b"\x7f"
C1 = dict.fromkeys(range(0x80, 0xA0), " ")
NAME = b"Muster"
REGION = re.compile(rb"\x1b\[(\d+);\d+r")
COLUMNS = re.compile(rb"\x1b\[(\d+);\d+s")


class _Outside:
    """What a terminal's callbacks know; kept alive by its screen."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.replies = bytearray()


def _outside(data: Any) -> _Outside:
    found: _Outside = ffi.from_handle(data)
    return found


@ffi.callback(POINTERS["write_pty"])  # type: ignore[untyped-decorator]
def _write_pty(_terminal: Any, data: Any, reply: Any, length: int) -> None:
    replies = _outside(data).replies
    if len(replies) + length <= REPLY_BYTES:
        replies += ffi.buffer(reply, length)[:]


@ffi.callback(POINTERS["report_size"])  # type: ignore[untyped-decorator]
def _size(_terminal: Any, data: Any, out: Any) -> bool:
    size = _outside(data).size
    out.rows, out.columns = size.rows, size.columns
    out.cell_width, out.cell_height = CELL_PIXELS
    return True


@ffi.callback(POINTERS["color_scheme"])  # type: ignore[untyped-decorator]
def _color_scheme(_terminal: Any, _data: Any, out: Any) -> bool:
    out[0] = lib.GHOSTTY_COLOR_SCHEME_DARK
    return True


_name = new_bytes(NAME)
_name_string = new("GhosttyString", {"ptr": _name, "len": len(NAME)})


@ffi.callback(POINTERS["version"])  # type: ignore[untyped-decorator]
def _version(_terminal: Any, _data: Any) -> Any:
    return _name_string[0]


def _options(handle: Any, history_lines: int) -> dict[str, Any]:
    """Option → value. No images: they would be kept here, and only some viewers could show them."""
    lines = history_lines + SLACK if history_lines else 0
    rgb = [dict(zip("rgb", color, strict=True)) for color in (FOREGROUND, BACKGROUND)]
    return {
        "USERDATA": handle,
        "WRITE_PTY": _write_pty,
        "SIZE": _size,
        "COLOR_SCHEME": _color_scheme,
        "XTVERSION": _version,
        "COLOR_FOREGROUND": new("GhosttyColorRgb", rgb[0]),
        "COLOR_BACKGROUND": new("GhosttyColorRgb", rgb[1]),
        "COLOR_CURSOR": new("GhosttyColorRgb", rgb[0]),
        "DEFAULT_CURSOR_STYLE": new(
            "GhosttyTerminalCursorStyle", lib.GHOSTTY_TERMINAL_CURSOR_STYLE_BLOCK_HOLLOW
        ),
        "MODE_DEFAULT": new("GhosttyTerminalModeConfig", {"mode": CLUSTERS, "value": True}),
        "MODE": new("GhosttyTerminalModeConfig", {"mode": CLUSTERS, "value": True}),
        "KITTY_IMAGE_STORAGE_LIMIT": new("uint64_t", 0),
        "SCROLLBACK_MAX_LINES": new("size_t", lines),
        "SCROLLBACK_MAX_BYTES": new("size_t", lines * 64 * 1024),
    }


def _check(size: Size) -> None:
    if not size.valid:
        raise ValueError(f"a terminal cannot have {size.rows} rows and {size.columns} columns")


def _close(terminal: Any, parts: list[CellReader | History]) -> None:
    for part in parts:
        part.close()
    lib.ghostty_terminal_free(terminal)


class GhosttyScreen:
    """A `Screen`. Feeds some 300 MB/s, without the interpreter lock."""

    def __init__(self, size: Size, history_lines: int = 0) -> None:
        _check(size)
        made = new("GhosttyTerminal")
        if lib.ghostty_terminal_new(ffi.NULL, made, size.columns, size.rows):
            raise MemoryError("the terminal emulator could not be given memory")
        self._terminal = made[0]
        self._outside = _Outside(size)
        self._handle = ffi.new_handle(self._outside)
        for name, value in _options(self._handle, history_lines).items():
            lib.ghostty_terminal_set(
                self._terminal,
                getattr(lib, "GHOSTTY_TERMINAL_OPT_" + name),
                ffi.cast(POINTERS["void"], value),
            )
        self.resize(size)
        self._reader = CellReader(self._terminal)
        self._history = History(self._terminal)
        self._history_lines = history_lines
        weakref.finalize(self, _close, self._terminal, [self._reader, self._history])

    @property
    def size(self) -> Size:
        return self._outside.size

    @property
    def cursor(self) -> Cursor:
        return Cursor(
            row=self._get("CURSOR_Y", "uint16_t"),
            column=self._get("CURSOR_X", "uint16_t"),
            visible=bool(self._get("CURSOR_VISIBLE", "bool")),
            shape=self._reader.cursor_shape(),
        )

    @property
    def title(self) -> str:
        title = self._get("TITLE", "GhosttyString")
        return bytes(ffi.buffer(title.ptr, title.len)).decode("utf-8", "replace") if title.len else ""

    @property
    def modes(self) -> Modes:
        return Modes(
            alternate=not self._history.shown,
            private=frozenset(mode for mode in VIEWED_MODES if self._mode(mode)),
            keypad=self._mode(KEYPAD),
            kitty_keyboard=self._get("KITTY_KEYBOARD_FLAGS", "uint8_t"),
        )

    def feed(self, data: bytes) -> None:
        if DELETE in data:  # which terminals ignore; the library would put it on the screen
            data = data.translate(None, DELETE)
        if not self._history_lines:
            lib.ghostty_terminal_vt_write(self._terminal, ffi.from_buffer(data), len(data))
            return
        view = memoryview(data)
        for start, end in pieces(data):
            lib.ghostty_terminal_vt_write(self._terminal, ffi.from_buffer(view[start:end]), end - start)
            self._history.follow()

    def resize(self, size: Size) -> None:
        _check(size)
        self._outside.size = size
        lib.ghostty_terminal_resize(self._terminal, size.columns, size.rows, *CELL_PIXELS)
        if hasattr(self, "_history"):
            self._history.follow()

    def replies(self) -> bytes:
        replies = bytes(self._outside.replies)
        self._outside.replies.clear()
        return replies

    def cells(self) -> list[list[Cell]]:
        return self._reader.read()

    def text(self) -> list[str]:
        return ["".join([cell.text for cell in row]).rstrip(" ") for row in self._reader.read()]

    def resume(self) -> bytes:
        options = new("GhosttyFormatterTerminalOptions")
        extra, screen = options.extra, options.extra.screen
        options.size, extra.size, screen.size = map(ffi.sizeof, (options[0], extra, screen))
        options.emit = lib.GHOSTTY_FORMATTER_FORMAT_VT
        options.trim = True
        # Only with content does it format at all: one cell, painted a second time.
        options.selection = selection = self._selection(lib.GHOSTTY_POINT_TAG_ACTIVE, 0, 1, columns=1)
        extra.scrolling_region = extra.tabstops = extra.keyboard = True
        screen.cursor = screen.style = screen.hyperlink = screen.charsets = True
        formatter = new("GhosttyFormatter")
        if not selection or lib.ghostty_formatter_terminal_new(
            ffi.NULL, formatter, self._terminal, options[0]
        ):
            return b""
        text = _sized(
            lambda buffer, room, length: lib.ghostty_formatter_format_buf(formatter[0], buffer, room, length)
        )
        lib.ghostty_formatter_free(formatter[0])
        return text + self._origin(text) + (b"\x1b[4h" if self._mode(INSERT) else b"")

    @property
    def scrolled(self) -> int:
        return self._history.scrolled

    def history(self, first: int) -> list[str]:
        if not self._history.shown:
            return []
        kept = self._history.kept()
        count = min(max(0, self.scrolled - first), kept, self._history_lines)
        return self._plain(kept - count, count)

    def _get(self, name: str, kind: str) -> Any:
        out = new(kind)
        lib.ghostty_terminal_get(self._terminal, getattr(lib, "GHOSTTY_TERMINAL_DATA_" + name), out)
        return out[0]

    def _mode(self, mode: int) -> bool:
        out = new("GhosttyTerminalModeConfig", {"mode": mode})
        failed = lib.ghostty_terminal_get(self._terminal, lib.GHOSTTY_TERMINAL_DATA_MODE, out)
        return not failed and bool(out.value)

    def _origin(self, resumed: bytes) -> bytes:
        """Origin mode, which moves the cursor, and from there back to where the cursor was."""
        if not self._mode(ORIGIN):
            return b""
        top, left = (int(found[1]) - 1 if (found := at.search(resumed)) else 0 for at in (REGION, COLUMNS))
        cursor = self.cursor
        return b"\x1b[?6h\x1b[%d;%dH" % (max(1, cursor.row - top + 1), max(1, cursor.column - left + 1))

    def _selection(self, tag: int, first: int, rows: int, columns: int) -> Any:
        start = grid_ref(self._terminal, tag, 0, first)
        end = grid_ref(self._terminal, tag, columns - 1, first + rows - 1)
        if start is None or end is None:
            return None
        selection = new("GhosttySelection")
        selection.size = size_of("GhosttySelection")
        selection.start, selection.end = start[0], end[0]
        return selection

    def _plain(self, first: int, count: int) -> list[str]:
        """`count` lines of the history; the library leaves out blank ones at the end."""
        tag = lib.GHOSTTY_POINT_TAG_HISTORY
        selection = self._selection(tag, first, count, self.size.columns) if count else None
        if selection is None:
            return [""] * count
        options = new("GhosttyTerminalSelectionFormatOptions")
        options.size = size_of("GhosttyTerminalSelectionFormatOptions")
        options.emit = lib.GHOSTTY_FORMATTER_FORMAT_PLAIN
        options.trim = True
        options.selection = selection
        text = _sized(
            lambda buffer, room, length: lib.ghostty_terminal_selection_format_buf(
                self._terminal, options[0], buffer, room, length
            )
        )
        lines = [line.rstrip(" ") for line in _visible(text).split("\n")]
        return (lines + [""] * count)[:count]


def _visible(text: bytes) -> str:
    decoded = text.decode("utf-8", "replace")
    return decoded if decoded.isascii() else decoded.translate(C1)


def _sized(call: Any) -> bytes:
    """What `call(buffer, room, length)` writes, by asking for the length first."""
    length = new("size_t")
    call(ffi.NULL, 0, length)
    buffer = new_bytes(max(1, length[0]))
    return b"" if call(buffer, len(buffer), length) else ffi.buffer(buffer, length[0])[:]
