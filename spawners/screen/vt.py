"""How a terminal's input is cut into tokens, and which method of the fallback's grid each one calls."""

from __future__ import annotations

import re

__all__ = ["CONTROLS", "CSI", "ESCAPES", "MOVES", "PARAMETERS", "TOKEN"]

TOKEN = re.compile(
    r"""(?P<text>[^\x00-\x1f\x7f]+)
      | (?P<control>[\x00-\x1a\x1c-\x1f\x7f])
      | \x1b\[(?P<csi>[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e])
      | \x1b\](?P<osc>[^\x07\x18\x1a\x1b]*)(?:\x07|\x1b\\)
      | \x1b(?P<string>[PX^_][^\x18\x1a\x1b]*)\x1b\\
      | \x1b(?P<escape>[\x20-\x2f]*[0-OQ-WYZ\\`-~])
      | (?P<unfinished>\x1b(?:\[[\x30-\x3f]*[\x20-\x2f]*
            |\][^\x07\x18\x1a\x1b]*\x1b?
            |[PX^_][^\x18\x1a\x1b]*\x1b?
            |[\x20-\x2f]*)?\Z)
      | (?P<broken>\x1b(?:\[[\x30-\x3f]*[\x20-\x2f]*
            |\][^\x07\x18\x1a\x1b]*
            |[PX^_][^\x18\x1a\x1b]*
            |[\x20-\x2f]*))
    """,
    re.VERBOSE,
)
CSI = re.compile(r"([<=>?]?)([0-9:;]*)([\x20-\x2f]*)(.)")

MOVES: dict[str, str] = {
    "@": "insert_characters",
    "A": "cursor_up",
    "B": "cursor_down",
    "C": "cursor_forward",
    "D": "cursor_back",
    "E": "cursor_down1",
    "F": "cursor_up1",
    "G": "cursor_to_column",
    "H": "cursor_position",
    "I": "forward_tab",
    "J": "erase_in_display",
    "K": "erase_in_line",
    "L": "insert_lines",
    "M": "delete_lines",
    "P": "delete_characters",
    "S": "scroll_up",
    "T": "scroll_down",
    "X": "erase_characters",
    "Z": "back_tab",
    "`": "cursor_to_column",
    "a": "cursor_forward",
    "d": "cursor_to_line",
    "e": "cursor_down",
    "f": "cursor_position",
    "g": "clear_tab_stop",
    "r": "set_margins",
    "s": "save_cursor",
    "u": "restore_cursor",
}
PARAMETERS = {"H": 2, "f": 2, "r": 2, "s": 0, "u": 0}
"""How many parameters a move takes, where it is not one."""
CONTROLS: dict[str, str] = {
    "\x08": "backspace",
    "\x09": "tab",
    "\x0a": "linefeed",
    "\x0b": "linefeed",
    "\x0c": "linefeed",
    "\x0d": "carriage_return",
    "\x0e": "shift_out",
    "\x0f": "shift_in",
}
ESCAPES: dict[str, str] = {
    "7": "save_cursor",
    "8": "restore_cursor",
    "D": "index",
    "H": "set_tab_stop",
    "M": "reverse_index",
    "#8": "alignment_display",
}
