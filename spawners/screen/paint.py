"""A screen as bytes that make any xterm-like terminal show it, whatever that terminal shows now.

For a viewer that comes late, that lost output, or whose terminal has another size than the program's.
"""

from __future__ import annotations

from spawners.launch import Size
from spawners.screen.base import VIEWED_MODES, Cell, Cursor, Modes, Screen
from spawners.screen.sgr import sgr

__all__ = ["VIEWED_MODES", "Painter", "blank", "paint", "prepare", "restore", "row_bytes"]

BEGIN, END = b"\x1b[?2026h", b"\x1b[?2026l"
"""Synchronized update: a terminal that knows it shows nothing in between; others ignore it."""

CANCEL = b"\x18"
"""Ends whatever sequence the terminal may be in the middle of."""

PEN = b"\x1b[0m\x1b(B\x1b)B\x0f"
"""Style and character sets as at first."""

RESET = (
    PEN + b"\x1b[?6l\x1b[?69l\x1b[r\x1b[4l\x1b[20l"  # origin, margins, insert, newline mode
    b"\x1b]8;;\x1b\\"  # no link
)
NO_KITTY_KEYS = b"\x1b[<99u\x1b[=0;1u"
"""No flags of the kitty keyboard protocol. QTerminal prints a part of it, which has to be cleared."""

EVERY_8 = b"\x1b[3g\r" + b"\x1b[8C\x1bH" * 32 + b"\r"
"""Tab stops as a terminal has them at first; 32 of them reach over 256 columns."""

BLANK = Cell()
EXPECTED = (7,)
"""Of the viewed modes, those that a terminal has set when nobody asked for anything."""


def prepare() -> bytes:
    """What a viewer's terminal gets first of all; `restore` undoes it. Remembers its title."""
    return b"\x1b[22;2t"


def restore(modes: Modes | None = None) -> bytes:
    """Undo all that a program may have left in a viewer's terminal, at the moment of detaching.

    `modes` are the program's, None if not known. The cursor ends on a free line below what is shown.
    """
    alternate = b"\x1b[?1049l" if modes and modes.alternate else b""
    return b"".join(
        (
            CANCEL,
            RESET,
            END,
            b"" if modes and not alternate else NO_KITTY_KEYS,
            b"\x1b[>4;0m\x1b>",  # modifyOtherKeys, keypad
            # Leaves the other screen where that is shown, and else moves no cursor, unlike 1049.
            alternate or b"\x1b[?1047l",
            # 1049 has put the cursor back, which RESET would move; and the pen, which is not wanted.
            b"\x1b7" + RESET + b"\x1b8" + PEN if alternate else RESET,
            b"".join(b"\x1b[?%d%c" % (mode, b"h" if mode in EXPECTED else b"l") for mode in VIEWED_MODES),
            b"\x1b[?5l\x1b[?12l\x1b[?2031l\x1b[?2048l",  # reverse video, blinking, reports of changes
            b"\x1b[0 q\x1b[?25h",
            b"\x1b]104\a\x1b]110\a\x1b]111\a\x1b]112\a",  # colours as configured; urxvt prints the end of ST
            b"\x1b[23;2t",
            # The primary screen has flags of its own.
            b"\x1b7" + NO_KITTY_KEYS + b"\x1b8" if alternate else b"\x1b[999;1H\r\n" + NO_KITTY_KEYS + b"\r",
            b"\x1b[K",
        )
    )


def blank() -> bytes:
    """As `paint` of a screen that nothing was written to yet, whatever its size; needs no emulator."""
    modes = Modes(private=frozenset(EXPECTED))
    return CANCEL + BEGIN + _clear(modes) + _mode_bytes(modes) + _cursor_bytes(Cursor()) + END


def paint(screen: Screen, view: Size) -> bytes:
    """All of `screen`, for a terminal of the size `view` in any state.

    A smaller view shows the part that holds the cursor; a larger one a dim frame around the screen.
    With the screen's own size the program's next bytes may follow.
    """
    painted = Painter(view).update(screen)
    if view != screen.size:
        return painted
    # The wrap mode comes first: a wrap that is due exists only while it is on.
    resumed = _mode_bytes(screen.modes) + b"\x1b[H" + screen.resume()
    return painted.removesuffix(END) + resumed + END


class Painter:
    """Keeps what one viewer's terminal shows, and gives what changes it into the present screen."""

    def __init__(self, view: Size) -> None:
        self._view = view
        self._rows: list[list[Cell]] = []
        self._modes: Modes | None = None
        self._place: Cursor | None = None
        self._title = ""
        self._size: Size | None = None

    def resize(self, view: Size) -> None:
        """The viewer's terminal has this size now; what it shows is unknown."""
        self._view = view
        self.forget()

    def forget(self) -> None:
        """Take nothing for granted: the next update paints everything."""
        self._modes = None

    def update(self, screen: Screen) -> bytes:
        """What makes the viewer's terminal show `screen`; empty if it does already."""
        rows, modes, cursor, title = screen.cells(), screen.modes, screen.cursor, screen.title
        top, left = _origin(cursor, screen.size, self._view)
        rows = [_crop(row, left, self._view.columns) for row in rows[top : top + self._view.rows]]
        whole = self._modes is None or modes.alternate != self._modes.alternate or screen.size != self._size
        out = [_clear(modes), _frame(screen.size, self._view)] if whole else []
        shown = [] if whole else self._rows
        out += [
            b"\x1b[%dH" % (number + 1) + row_bytes(row, clear=not whole)
            for number, row in enumerate(rows)
            if not (number < len(shown) and (row is shown[number] or row == shown[number]))
            and not (whole and row == [BLANK] * len(row))
        ]
        if title and (whole or title != self._title):
            out.append(b"\x1b]2;%s\x1b\\" % _printable(title).encode())
        if whole or modes != self._modes or 7 not in modes.private:
            # Rows are painted with the wrap on: without it some terminals join marks to the wrong cell.
            out.append(_mode_bytes(modes))
        if not whole and self._modes and modes.kitty_keyboard != self._modes.kitty_keyboard:
            out.append(_keys(modes))
        place = Cursor(cursor.row - top, cursor.column - left, cursor.visible, cursor.shape)
        if out or place != self._place:
            out.append(_cursor_bytes(place))
        self._rows, self._modes, self._place, self._title = rows, modes, place, title
        self._size = screen.size
        wrap = b"" if whole or 7 in modes.private else b"\x1b[?7h"
        return CANCEL * whole + BEGIN + wrap + b"".join(out) + END if out else b""

    def restore(self) -> bytes:
        """As the function `restore`, with the modes that were painted last."""
        return restore(self._modes)


def _clear(modes: Modes) -> bytes:
    # Both screens are reset: the scroll region is one screen's own in some terminals.
    enter = b"\x1b[?1049h" if modes.alternate else b"\x1b[?1047l"
    keys = _keys(modes)  # what a terminal prints of it is cleared
    return RESET + enter + RESET + EVERY_8 + keys + b"\x1b[?25l\x1b[?7h\x1b[H\x1b[2J"


def _origin(cursor: Cursor, size: Size, view: Size) -> tuple[int, int]:
    """First row and column shown: none cut off where all fit, else so that the cursor is inside."""
    row = max(0, min(cursor.row + 1, size.rows) - view.rows)
    column = max(0, min(cursor.column + 1, size.columns) - view.columns)
    return row, column


def _crop(row: list[Cell], first: int, count: int) -> list[Cell]:
    if first == 0 and len(row) <= count:
        return row
    cut = row[first : first + count]
    if cut and cut[0].text == "":
        cut[0] = Cell(style=cut[0].style)
    if cut and cut[-1].wide:
        cut[-1] = Cell(style=cut[-1].style)
    return cut


def row_bytes(row: list[Cell], *, clear: bool = False, align: bool = True) -> bytes:
    """One row, pen reset before and after; trailing blanks left out, or erased if `clear`.

    `align` moves the cursor behind each character of which terminals differ on how wide it is.
    """
    end = len(row)
    while end and row[end - 1] == BLANK:
        end -= 1
    out: list[str] = []
    pen = BLANK.style
    for column, cell in enumerate(row[:end]):
        if cell.style is not pen and cell.style != pen:
            pen = cell.style
            out.append(sgr(pen).decode())
        out.append(cell.text if cell.text.isprintable() else _printable(cell.text) or " ")
        if align and (len(cell.text) > 1 or cell.wide):
            out.append(f"\x1b[{column + 2 + cell.wide}G")
    if pen != BLANK.style:
        out.append("\x1b[0m")
    if clear and end < len(row):
        out.append(f"\x1b[{len(row) - end}X")
    return "".join(out).encode("utf-8", "replace")


def _printable(text: str) -> str:
    """The text without control characters, with which it could end a sequence and begin another."""
    return "".join(char for char in text if char >= " " and not "\x7f" <= char <= "\x9f")


def _mode_bytes(modes: Modes) -> bytes:
    off = [mode for mode in VIEWED_MODES if mode not in modes.private]
    on = sorted(modes.private.intersection(VIEWED_MODES))
    out = b"".join(b"\x1b[?%dl" % mode for mode in off) + b"".join(b"\x1b[?%dh" % mode for mode in on)
    return out + (b"\x1b=" if modes.keypad else b"\x1b>")


def _keys(modes: Modes) -> bytes:
    return b"\x1b[=%d;1u" % modes.kitty_keyboard


def _cursor_bytes(cursor: Cursor) -> bytes:
    place = b"\x1b[%d;%dH\x1b[%d q" % (cursor.row + 1, cursor.column + 1, cursor.shape)
    return place + (b"\x1b[?25h" if cursor.visible else b"\x1b[?25l")


def _frame(size: Size, view: Size) -> bytes:
    """A dim line where the screen ends and a larger view goes on."""
    rows, columns = min(size.rows, view.rows), min(size.columns, view.columns)
    right = columns < view.columns
    line = b""
    if right:
        line += b"".join(b"\x1b[%d;%dH\xe2\x94\x82" % (row + 1, columns + 1) for row in range(rows))
    if rows < view.rows:
        line += b"\x1b[%dH" % (rows + 1) + b"\xe2\x94\x80" * columns + b"\xe2\x94\x98" * right
    return b"\x1b[0;2m" + line + b"\x1b[0m" if line else b""
