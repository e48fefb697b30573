"""Taking a program's questions to its terminal out of its output, so that one party answers them.

The sequences are those of xterm's ctlseqs, of the kitty protocols and of iTerm2. 8-bit control
characters are not looked for: in UTF-8 no terminal takes them for such.
"""

from __future__ import annotations

import re

__all__ = ["HELD_BYTES", "QueryFilter", "asks"]

HELD_BYTES = 4096
"""The longest unfinished sequence that is held back; a longer one passes as it is."""

ANSWERBACK = b"\x05"

QUERY = re.compile(
    rb"""\x1b(?:
    Z                                       # device attributes, the old way
  | \[ (?:
        [0-9;]*+ (?:
            [cn]                            # primary device attributes; status, cursor position
          | \$[pwu] | &u | \*y              # whether a mode is set; state; preferred set; checksum
          | '\| | \#[R|]                    # locator position; what is stacked, what a rectangle shares
        )
      | \? [0-9;]*+ (?: [nSum] | \$p )      # status; graphics; kitty keyboard, key modifiers; modes
      | > [0-9;]*+ [cq]                     # secondary device attributes; name and version
      | = [0-9;]*+ c                        # tertiary device attributes
      | (?: 1[1345689] | 2[01] ) (?: ;[0-9]*+ )*+ t   # state, place, size and title of the window
      | [01]? x                             # terminal parameters
    )
  | \] (?:
        (?: [45] | 1[0-9] | 50 ) ; [^\x07\x18\x1a\x1b?]* \? [^\x07\x18\x1a\x1b]*   # colours, font
      | 52 ; [^;\x07\x18\x1a\x1b]* ; \?     # the clipboard
      | 21 ; [^\x07\x18\x1a\x1b?]* \? [^\x07\x18\x1a\x1b]*      # kitty: colours by name
      | 22 ; \? [^\x07\x18\x1a\x1b]*        # kitty: pointer shapes
      | 99 ; [^;\x07\x18\x1a\x1b]* \bp=\? [^\x07\x18\x1a\x1b]*  # kitty: what notifications can do
      | 5522 ; [^;\x07\x18\x1a\x1b]* \btype=read [^\x07\x18\x1a\x1b]*   # kitty: the clipboard
      | 1337 ; (?: Report | Capabilities | RequestUpload ) [^\x07\x18\x1a\x1b]*   # iTerm2
      | 6[01] (?: ; [^\x07\x18\x1a\x1b]* )?     # which features are allowed
    ) (?: \x07 | \x1b\\ )
  | P [0-9;]* (?: \+[qQ] | \$q ) [^\x18\x1a\x1b]* \x1b\\        # terminfo, resources, settings
  | _G (?= [^;\x18\x1a\x1b]* \ba=q ) [^\x18\x1a\x1b]* \x1b\\    # kitty graphics
    )""",
    re.VERBOSE,
)

UNFINISHED = re.compile(
    rb"""\x1b(?:
    \[ [\x20-\x3f]*
  | \] (?:
        [0-9]*
      | (?: [45] | 1[0-9] | 50 | 2[12] | 99 | 5522 | 6[01] ) ; [^\x07\x18\x1a\x1b]* \x1b?
      | 52 ; [^;\x07\x18\x1a\x1b]* (?: ; (?: \? \x1b? )? )?
      | 1337 ; (?: [RC][^\x07\x18\x1a\x1b=]* (?: = [^\x07\x18\x1a\x1b]* )? \x1b? )?
      | 6[01] \x1b
    )
  | P [0-9;]* (?: \$ | \+ | (?: \+[qQ] | \$q ) [^\x18\x1a\x1b]* \x1b? )?
  | _ (?: G [^;\x18\x1a\x1b]* | G (?= [^;\x18\x1a\x1b]* \ba=q ) [^\x18\x1a\x1b]* \x1b? )?
    )?\Z""",
    re.VERBOSE,
)


def _unfinished(data: bytes) -> int:
    """Where a sequence begins at the end of `data` that may become a query; `len(data)` if none does."""
    found = UNFINISHED.search(data, max(0, len(data) - HELD_BYTES))
    return found.start() if found else len(data)


def asks(data: bytes) -> bool:
    """Whether `data` holds a query, or the beginning of what may become one."""
    if ANSWERBACK in data:
        return True
    if b"\x1b" not in data:
        return False
    return QUERY.search(data) is not None or _unfinished(data) < len(data)


class QueryFilter:
    """Removes the queries from one program's output and leaves every other byte as it was.

    A sequence that may become a query is held back until the next bytes decide it, at most
    `HELD_BYTES` of it; nothing else is delayed.
    """

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        if self._held:
            data, self._held = self._held + data, b""
        if b"\x1b" in data:
            end = _unfinished(data)
            if end < len(data):
                data, self._held = data[:end], data[end:]
            data = QUERY.sub(b"", data)
        return data.translate(None, ANSWERBACK) if ANSWERBACK in data else data

    def flush(self) -> bytes:
        """What is held, because nothing will follow it."""
        held, self._held = self._held, b""
        return held
