"""The port of terminal emulation: what a program has painted, from the bytes it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from spawners.launch import Size

__all__ = ["VIEWED_MODES", "Cell", "Color", "Cursor", "Modes", "Screen", "Style"]

VIEWED_MODES = (1, 7, 9, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004)
"""The DEC private modes that change what a viewer's terminal shows or sends, by their numbers in
xterm's ctlseqs: cursor keys, wrap, mouse (9, 1000–1003 and its encodings), focus, bracketed paste."""

Color = int | tuple[int, int, int] | None
"""A palette number (0–255), red/green/blue, or None for the terminal's default."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a cell looks. `underline` is 0 for none, 1 single, 2 double, 3 curly, 4 dotted, 5 dashed."""

    foreground: Color = None
    background: Color = None
    bold: bool = False
    faint: bool = False
    italic: bool = False
    underline: int = 0
    blink: bool = False
    inverse: bool = False
    invisible: bool = False
    strikethrough: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: `text` is its grapheme (a blank one is " "), empty for the right half of a wide one."""

    text: str = " "
    style: Style = Style()
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next character goes; both count from 0.

    `shape` is what DECSCUSR chose: 0 the terminal's own, 1 and 2 a block (blinking, steady), 3 and 4
    an underline, 5 and 6 a bar.
    """

    row: int = 0
    column: int = 0
    visible: bool = True
    shape: int = 0


@dataclass(frozen=True, slots=True)
class Modes:
    """What the program has switched on in its terminal and a viewer's terminal must follow.

    `private` are those of `VIEWED_MODES` that are set. `keypad` is DECKPAM. `kitty_keyboard` are the
    flags of the kitty keyboard protocol now in force, 0 for none.
    """

    alternate: bool = False
    private: frozenset[int] = frozenset()
    keypad: bool = False
    kitty_keyboard: int = 0

    @property
    def bracketed_paste(self) -> bool:
        return 2004 in self.private


class Screen(Protocol):
    """One emulated terminal. Not for use from two threads at once.

    Bytes may be cut anywhere, in the middle of a character or a sequence too; nothing that a program
    writes can make a method raise. Add an emulator by writing one of these and listing it in
    `spawners/screen/engines.py`; `tests/contracts/test_screen_contract.py` holds it to this text.
    """

    @property
    def size(self) -> Size: ...

    @property
    def cursor(self) -> Cursor: ...

    @property
    def title(self) -> str:
        """What the program last set by OSC 0 or 2; empty if never."""

    @property
    def modes(self) -> Modes: ...

    def feed(self, data: bytes) -> None:
        """Take what the program wrote next."""

    def resize(self, size: Size) -> None:
        """Change the size as the program's own terminal was changed at this point of its output.

        Raises ValueError if `size` is not valid.
        """

    def replies(self) -> bytes:
        """What a terminal answers to the queries fed since the last call (device attributes, cursor
        position, modes, colours …), in order. Beyond 64 KiB answers are dropped."""

    def cells(self) -> list[list[Cell]]:
        """The active screen, `size.rows` rows of `size.columns` cells."""

    def text(self) -> list[str]:
        """The active screen as plain text, `size.rows` lines without their trailing blanks."""

    def resume(self) -> bytes:
        """What no cell shows and the program's next output depends on: tab stops, scroll region,
        cursor position with its pending wrap, pen, character sets, insert and origin mode.

        For a terminal of the same size that shows this screen, is otherwise reset and has its cursor
        at home: from then on it may be given the program's own bytes.
        """

    @property
    def scrolled(self) -> int:
        """How many lines have scrolled off the top of the primary screen into the history so far.

        Counts on when old ones are dropped, and not for the alternate screen, which has no history;
        while that is shown it may lag behind. Falls when a resize brings lines back. Stays 0 for a
        screen that was opened without a history.
        """

    def history(self, first: int) -> list[str]:
        """The lines of the history from number `first` (counted like `scrolled`) on, as plain text
        without trailing blanks; those that were dropped already are left out. Empty while the
        alternate screen is shown."""
