"""The fallback emulator, for machines that libghostty-vt has no wheel for: pyte's screen, our own parser.

pyte's parser prints the contents of sequences that it does not know and raises on some of them.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable

from pyte import charsets, modes

from spawners.launch import Size
from spawners.screen.answers import answer, answer_string
from spawners.screen.base import VIEWED_MODES, Cell, Cursor, Modes, Style
from spawners.screen.kitty import KeyboardFlags
from spawners.screen.pyte_grid import Grid
from spawners.screen.sgr import sgr, styled
from spawners.screen.vt import CONTROLS, CSI, ESCAPES, MOVES, PARAMETERS, TOKEN

__all__ = ["PyteScreen"]

HELD = 64 * 1024
"""Longest unfinished sequence kept; of a longer one (an image) only that it is one."""
REPLY_BYTES = 64 * 1024
ORIGIN, WRAP, CURSOR, INSERT = 6, 7, 25, 4
ALTERNATE = (47, 1047, 1049)
GRID_MODES = (ORIGIN, WRAP, CURSOR)
"""Those that pyte's screen acts upon; it would take others for something else."""


class PyteScreen:
    """A `Screen`. Feeds about 2 MB/s: only the end of a long output can be replayed with it."""

    def __init__(self, size: Size, history_lines: int = 0) -> None:
        if not size.valid:
            raise ValueError(f"a terminal cannot have {size.rows} rows and {size.columns} columns")
        self._size = size
        self._history_lines = history_lines
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._replies = bytearray()
        self._reset()

    def _reset(self) -> None:
        old = getattr(self, "_primary", None)
        self._primary = Grid(self._size.columns, self._size.rows, self._history_lines)
        if old is not None:
            self._primary.history, self._primary.scrolled = old.history, old.scrolled
        self._alternate = Grid(self._size.columns, self._size.rows, 0)
        self._grid = self._primary
        self._title = ""
        self._private = {WRAP, CURSOR}
        self._keypad = False
        self._shape = 0
        self._last = ""
        self._keyboards = (KeyboardFlags(), KeyboardFlags())

    @property
    def size(self) -> Size:
        return self._size

    @property
    def cursor(self) -> Cursor:
        at = self._grid.cursor
        column = min(at.x, self._size.columns - 1)
        return Cursor(at.y, column, CURSOR in self._private, self._shape)

    @property
    def title(self) -> str:
        return self._title

    @property
    def modes(self) -> Modes:
        return Modes(
            alternate=self._grid is self._alternate,
            private=frozenset(self._private.intersection(VIEWED_MODES)),
            keypad=self._keypad,
            kitty_keyboard=self._keyboard.now,
        )

    @property
    def scrolled(self) -> int:
        return self._primary.scrolled

    @property
    def _keyboard(self) -> KeyboardFlags:
        return self._keyboards[self._grid is self._alternate]

    def feed(self, data: bytes) -> None:
        text = self._held + self._decoder.decode(data)
        self._held = ""
        handlers: dict[str, Callable[[str], None]] = {
            "text": self._text,
            "control": self._control,
            "csi": self._csi,
            "osc": self._osc,
            "string": self._string,
            "escape": self._escape,
            "unfinished": self._hold,
        }
        for found in TOKEN.finditer(text):
            kind = found.lastgroup or "broken"
            if kind in handlers:
                handlers[kind](found[kind])

    def resize(self, size: Size) -> None:
        if not size.valid:
            raise ValueError(f"a terminal cannot have {size.rows} rows and {size.columns} columns")
        self._size = size
        for grid in (self._primary, self._alternate):
            grid.resize(size.rows, size.columns)

    def replies(self) -> bytes:
        replies = bytes(self._replies)
        self._replies.clear()
        return replies

    def cells(self) -> list[list[Cell]]:
        return [self._grid.row(y) for y in range(self._size.rows)]

    def text(self) -> list[str]:
        return [self._grid.line_text(y) for y in range(self._size.rows)]

    def resume(self) -> bytes:
        grid = self._grid
        stops = "".join(f"\x1b[{stop + 1}G\x1bH" for stop in sorted(grid.tabstops) if stop < grid.columns)
        out = f"\x1b[3g{stops}\x1b[H"
        row, column = grid.cursor.y, grid.cursor.x
        if grid.margins:
            out += f"\x1b[{grid.margins.top + 1};{grid.margins.bottom + 1}r"
            if modes.DECOM in grid.mode:
                out += "\x1b[?6h"
                row = max(0, row - grid.margins.top)
        last = b""
        if column >= grid.columns:
            cells = grid.row(grid.cursor.y)
            column = grid.columns - (1 if cells[-1].text else 2)
            last = sgr(cells[column].style) + cells[column].text.encode()
        out += f"\x1b[{row + 1};{column + 1}H"
        return out.encode() + last + sgr(grid.pen) + self._charsets() + b"\x1b[4h" * (modes.IRM in grid.mode)

    def _charsets(self) -> bytes:
        grid = self._grid
        lines = charsets.VT100_MAP
        first = b"\x1b(0" if grid.g0_charset == lines else b"\x1b(B"
        second = b"\x1b)0" if grid.g1_charset == lines else b"\x1b)B"
        return first + second + (b"\x0e" if grid.charset else b"\x0f")

    def history(self, first: int) -> list[str]:
        if self._grid is self._alternate:
            return []
        lines = list(self._primary.history)
        return lines[max(0, len(lines) - max(0, self.scrolled - first)) :]

    # What the program writes

    def _hold(self, text: str) -> None:
        # The last character may be half of what ends it.
        self._held = text if len(text) <= HELD else text[:2] + ("\x1b" if text[-1] == "\x1b" else "")

    def _text(self, text: str) -> None:
        self._grid.draw(text)
        self._last = text[-1]

    def _control(self, char: str) -> None:
        if char in CONTROLS:
            getattr(self._grid, CONTROLS[char])()

    def _escape(self, text: str) -> None:
        if text in ESCAPES:
            getattr(self._grid, ESCAPES[text])()
        elif text == "E":
            self._grid.index()
            self._grid.carriage_return()
        elif text in "=>":
            self._keypad = text == "="
        elif text == "c":
            self._reset()
        elif text == "Z":
            self._csi("c")
        elif text[0] in "()" and len(text) == 2:
            self._grid.define_charset(text[1], text[0])

    def _osc(self, text: str) -> None:
        number, _, value = text.partition(";")
        if number in ("0", "2"):
            self._title = value
        else:
            self._reply(answer_string("]" + text))

    def _string(self, text: str) -> None:
        self._reply(answer_string(text))

    def _csi(self, text: str) -> None:
        found = CSI.fullmatch(text)
        if found is None:
            return
        marker, parameters, between, final = found.groups()
        if (marker, between, final) == ("", "", "m"):
            self._grid.ink(styled(self._grid.pen, parameters))
            return
        numbers = [min(int(number or 0), 9999) for number in parameters.replace(":", ";").split(";")[:32]]
        if not marker and not between:
            self._plain(final, numbers)
        elif marker == "?" and final in "hl" and not between:
            for mode in numbers:
                self._private_mode(mode, final == "h")
        elif (between, final) == (" ", "q"):
            self._shape = numbers[0] if numbers[0] <= 6 else 0
        elif (between, final) == ("!", "p"):
            self._soft_reset()
        elif marker and final == "u":
            self._keyboard.change(marker, numbers)
        self._answer(marker, between + final, numbers)

    def _plain(self, final: str, numbers: list[int]) -> None:
        if final in MOVES:
            move = getattr(self._grid, MOVES[final])
            move(*numbers[: PARAMETERS.get(final, 1)])
        elif final in "hl" and INSERT in numbers:
            (self._grid.set_mode if final == "h" else self._grid.reset_mode)(INSERT)
        elif final == "b" and self._last:
            self._grid.draw(self._last * min(max(1, numbers[0]), self._grid.columns * self._grid.lines))

    def _answer(self, marker: str, final: str, numbers: list[int]) -> None:
        grid = self._grid
        row = grid.cursor.y - (grid.margins.top if grid.margins and modes.DECOM in grid.mode else 0)
        facts = {
            "row": row + 1,
            "column": self.cursor.column + 1,
            "rows": grid.lines,
            "columns": grid.columns,
            "flags": self._keyboard.now,
        }
        on = self._private if marker else {INSERT} if modes.IRM in grid.mode else set()
        self._reply(answer(marker, final, numbers, facts, on))

    def _reply(self, reply: bytes) -> None:
        if len(self._replies) + len(reply) <= REPLY_BYTES:
            self._replies += reply

    def _private_mode(self, mode: int, on: bool) -> None:
        if mode in ALTERNATE:
            self._switch(mode, on)
            return
        if mode == 1048:
            (self._grid.save_cursor if on else self._grid.restore_cursor)()
            return
        (self._private.add if on else self._private.discard)(mode)
        if mode in GRID_MODES:
            for grid in {self._primary, self._alternate}:
                at = (grid.cursor.x, grid.cursor.y)
                (grid.set_mode if on else grid.reset_mode)(mode, private=True)
                if grid is not self._grid:
                    grid.cursor.x, grid.cursor.y = at

    def _switch(self, mode: int, on: bool) -> None:
        old, new = self._grid, self._alternate if on else self._primary
        if mode == 1049 and on and old is not new:
            old.save_cursor()
        if old is not new:
            self._grid = new
            new.cursor.x, new.cursor.y = old.cursor.x, old.cursor.y
            new.margins = old.margins
            new.ink(old.pen)
            if on:
                new.ink(Style())
                new.erase_in_display(2)
                new.ink(old.pen)
        if mode == 1049 and not on:
            new.restore_cursor()

    def _soft_reset(self) -> None:
        for mode in (ORIGIN, 1):
            self._private_mode(mode, False)
        for mode in (WRAP, CURSOR):
            self._private_mode(mode, True)
        self._grid.margins = None
        self._grid.reset_mode(INSERT)
        self._grid.ink(Style())
        self._keypad = False
        self._grid.charset = 0
        self._grid.g0_charset = charsets.LAT1_MAP
