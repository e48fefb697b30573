"""The cells of the fallback emulator: pyte's screen, with what today's programs need beyond it."""

from __future__ import annotations

from collections import defaultdict, deque

import pyte
from pyte import charsets, modes
from pyte.screens import Cursor as PenCursor
from pyte.screens import Margins, StaticDefaultDict
from wcwidth import wcwidth

from spawners.screen.base import Cell, Style
from spawners.screen.clusters import join, mend, unpair

__all__ = ["Grid", "Line"]

Line = StaticDefaultDict[int, Cell]

BLANK = Cell()


class Grid(pyte.Screen):
    """One screen, primary or alternate, whose cells are ours instead of pyte's.

    A list of what pyte has otherwise: erasing keeps only the background; moving up and down heeds the
    margins only from inside them; a saved cursor stays saved; a character may be several code points;
    half of an overwritten wide character does not stay; shrinking keeps the cursor on the screen.
    """

    buffer: dict[int, Line]  # type: ignore[assignment]

    def __init__(self, columns: int, lines: int, history_lines: int) -> None:
        self.pen = Style()
        self.history: deque[str] = deque(maxlen=history_lines)
        self.scrolled = 0
        self._inked: dict[str, Cell] = {}
        super().__init__(columns, lines)

    @property
    def default_char(self) -> Cell:  # type: ignore[override]
        return BLANK

    @property
    def erased(self) -> Cell:
        background = self.pen.background
        return BLANK if background is None else Cell(style=Style(background=background))

    def reset(self) -> None:
        super().reset()
        self.savepoints.clear()
        self.saved_pen = Style()
        self.ink(Style())
        self.cursor = PenCursor(0, 0)

    def ink(self, pen: Style) -> None:
        """Write in this style from now on."""
        self.pen = pen
        self._inked = {}

    def row(self, y: int) -> list[Cell]:
        line = self.buffer.get(y)
        return [line.get(x, BLANK) for x in range(self.columns)] if line else [BLANK] * self.columns

    def line_text(self, y: int) -> str:
        return "".join(cell.text for cell in self.row(y)).rstrip(" ")

    # -- writing

    def draw(self, data: str) -> None:
        charset = self.g1_charset if self.charset else self.g0_charset
        if charset != charsets.LAT1_MAP:
            data = data.translate(charset)
        for char in data:
            if char < "\x7f":
                self._put(char, 1)
            elif char >= "\xa0" and not self._joins(char):
                width = wcwidth(char)
                if width > 0:
                    self._put(char, min(width, 2))

    def _put(self, char: str, width: int) -> None:
        cursor = self.cursor
        if width > self.columns:
            return
        if cursor.x + width > self.columns:
            if modes.DECAWM in self.mode:
                self.carriage_return()
                self.index()
            else:
                cursor.x = self.columns - width
        if modes.IRM in self.mode:
            self.insert_characters(width)
        line, x = self.buffer[cursor.y], cursor.x
        unpair(line, x)
        cell = self._inked.get(char)
        if cell is None:
            cell = self._inked[char] = Cell(char, self.pen, width == 2)
        if width == 2:
            unpair(line, x + 1)
            line[x + 1] = Cell("", self.pen)
        line[x] = cell
        cursor.x = x + width

    def _joins(self, char: str) -> bool:
        """Whether `char` belonged to the character before it, which it has then become part of."""
        x = self.cursor.x - 1
        line = self.buffer[self.cursor.y]
        if x > 0 and line[x].text == "":
            x -= 1
        if x < 0:
            return False
        before = line[x]
        joined = join(before, char)
        if joined is None:
            return False
        line[x] = joined
        if joined.wide and not before.wide:
            if x + 1 < self.columns:
                unpair(line, x + 1)
                line[x + 1] = Cell("", before.style)
                self.cursor.x = x + 2
            else:
                line[x] = before
        return True

    # -- moving

    def index(self) -> None:
        _top, bottom = self.margins or Margins(0, self.lines - 1)
        if self.cursor.y == bottom:
            self.scroll_up(1)
        else:
            self.cursor_down(1)

    def cursor_up(self, count: int | None = None) -> None:
        top = self.margins.top if self.margins and self.cursor.y >= self.margins.top else 0
        self.cursor.y = max(self.cursor.y - (count or 1), top)

    def cursor_down(self, count: int | None = None) -> None:
        last = self.lines - 1
        bottom = self.margins.bottom if self.margins and self.cursor.y <= self.margins.bottom else last
        self.cursor.y = min(self.cursor.y + (count or 1), bottom)

    def cursor_forward(self, count: int | None = None) -> None:
        self.cursor.x = min(self.cursor.x + (count or 1), self.columns - 1)

    def cursor_to_line(self, line: int | None = None) -> None:
        self.cursor_position(line, min(self.cursor.x, self.columns - 1) + 1)

    def back_tab(self, count: int | None = None) -> None:
        for _ in range(min(count or 1, self.columns)):
            self.cursor.x = max((stop for stop in self.tabstops if stop < self.cursor.x), default=0)

    def forward_tab(self, count: int | None = None) -> None:
        for _ in range(min(count or 1, self.columns)):
            self.tab()

    def tab(self) -> None:
        x = self.cursor.x
        self.cursor.x = min((stop for stop in self.tabstops if stop > x), default=max(x, self.columns - 1))
        self.cursor.x = min(self.cursor.x, max(x, self.columns - 1))

    def save_cursor(self) -> None:
        self.savepoints.clear()
        self.saved_pen = self.pen
        super().save_cursor()

    def restore_cursor(self) -> None:
        saved = self.savepoints[-1] if self.savepoints else None
        visible = self.cursor.hidden
        super().restore_cursor()
        self.cursor.hidden = visible
        self.ink(self.saved_pen if saved else Style())
        if saved:
            self.save_cursor()

    # -- scrolling and erasing

    def scroll_up(self, count: int | None = None) -> None:
        top, bottom = self.margins or Margins(0, self.lines - 1)
        count = min(count or 1, bottom - top + 1)
        if top == 0:
            self.remember(count)
        self._shift(top, bottom, count)

    def scroll_down(self, count: int | None = None) -> None:
        top, bottom = self.margins or Margins(0, self.lines - 1)
        self._shift(top, bottom, -(count or 1))

    def remember(self, count: int) -> None:
        """Put the first `count` lines into the history."""
        if self.history.maxlen:
            self.history.extend(self.line_text(y) for y in range(count))
            self.scrolled += count

    def _shift(self, top: int, bottom: int, count: int) -> None:
        """Move the lines from `top` to `bottom` up by `count`, or down where that is negative."""
        lines = {y: self.buffer.pop(y) for y in range(top, bottom + 1) if y in self.buffer}
        blank = self.erased
        for y in range(top, bottom + 1):
            if y + count in lines:
                self.buffer[y] = lines[y + count]
            elif not top <= y + count <= bottom and blank is not BLANK:
                self.buffer[y].update((x, blank) for x in range(self.columns))

    def reverse_index(self) -> None:
        top, _bottom = self.margins or Margins(0, self.lines - 1)
        if self.cursor.y == top:
            self.scroll_down(1)
        else:
            self.cursor_up(1)

    def insert_lines(self, count: int | None = None) -> None:
        self._shift_here(-(count or 1))

    def delete_lines(self, count: int | None = None) -> None:
        self._shift_here(count or 1)

    def _shift_here(self, count: int) -> None:
        top, bottom = self.margins or Margins(0, self.lines - 1)
        if top <= self.cursor.y <= bottom:
            self._shift(self.cursor.y, bottom, count)
            self.carriage_return()

    def insert_characters(self, count: int | None = None) -> None:
        count = min(count or 1, self.columns)
        row = self.row(self.cursor.y)
        x = min(self.cursor.x, self.columns - 1)
        self._rewrite(x, row[:x] + [self.erased] * count + row[x:])

    def delete_characters(self, count: int | None = None) -> None:
        count = min(count or 1, self.columns)
        row = self.row(self.cursor.y)
        x = min(self.cursor.x, self.columns - 1)
        self._rewrite(x, row[:x] + row[x + count :] + [self.erased] * count)

    def _rewrite(self, first: int, row: list[Cell]) -> None:
        """Take over the cells from `first` on, halves of wide characters as blanks."""
        line = self.buffer[self.cursor.y]
        unpair(line, first)
        row = [line.get(x, BLANK) for x in range(first)] + row[first : self.columns]
        mend(row)
        line.update(enumerate(row))

    def erase_characters(self, count: int | None = None) -> None:
        x = min(self.cursor.x, self.columns - 1)
        self._erase(self.cursor.y, x, min(x + (count or 1), self.columns))

    def erase_in_line(self, how: int = 0, private: bool = False) -> None:
        x = min(self.cursor.x, self.columns - 1)
        first, end = {0: (x, self.columns), 1: (0, x + 1), 2: (0, self.columns)}.get(how, (0, 0))
        self._erase(self.cursor.y, first, end)

    def erase_in_display(self, how: int = 0, *args: object, **kwargs: object) -> None:
        if how == 3:
            self.history.clear()
        y = self.cursor.y
        for other in {0: range(y + 1, self.lines), 1: range(y), 2: range(self.lines)}.get(how, ()):
            self._erase(other, 0, self.columns)
        if how in (0, 1):
            self.erase_in_line(how)

    def _erase(self, y: int, first: int, end: int) -> None:
        blank = self.erased
        if blank is BLANK and first == 0 and end == self.columns:
            self.buffer.pop(y, None)
        elif first < end:
            line = self.buffer[y]
            unpair(line, first)
            unpair(line, end - 1)
            line.update((x, blank) for x in range(first, end))

    def alignment_display(self) -> None:
        self.margins = None
        self.cursor_position()
        for y in range(self.lines):
            self.buffer[y].update((x, Cell("E")) for x in range(self.columns))

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Change the size: lines above go into the history as far as the cursor needs it."""
        lines, columns = lines or self.lines, columns or self.columns
        above = max(0, self.cursor.y + 1 - lines)
        self.remember(above)
        self.margins = None
        self.buffer = defaultdict(
            self.buffer.default_factory,  # type: ignore[attr-defined]
            {y - above: line for y, line in self.buffer.items() if above <= y < above + lines},
        )
        for line in self.buffer.values():
            for x in [x for x in line if x >= columns]:
                del line[x]
            if columns - 1 in line and line[columns - 1].wide:
                line[columns - 1] = Cell(style=line[columns - 1].style)
        if columns > self.columns:
            self.tabstops.update(x for x in range(8, columns, 8) if x >= self.columns)
        self.lines, self.columns = lines, columns
        self.cursor.y = min(self.cursor.y - above, lines - 1)
        self.cursor.x = min(self.cursor.x, columns - 1)
