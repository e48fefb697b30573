"""What a run of a program's output ends with that only the following bytes complete."""

from __future__ import annotations

import re

__all__ = ["LONGEST", "unfinished"]

LONGEST = 4096
"""Bytes of a sequence that are looked through for its beginning; of a longer one nothing is known."""

_OPEN = re.compile(
    rb"""(?:
    \x1b (?:
        \[ [\x20-\x3f]*                                    # a control sequence
      | [\x20-\x2f]+                                       # an escape sequence with intermediate bytes
      | [\]PX^_] [^\x07\x18\x1a\x1b]* \x1b?                # a string, perhaps in the middle of its end
    )?
  | [\xc2-\xdf]                                            # the beginning of a character of 2 bytes,
  | [\xe0-\xef][\x80-\xbf]?                                # of 3,
  | [\xf0-\xf4][\x80-\xbf]{0,2}                            # of 4
    )\Z""",
    re.VERBOSE,
)


def unfinished(data: bytes) -> bytes:
    """The bytes at the end of `data` that begin a sequence or a UTF-8 character and do not finish it."""
    found = _OPEN.search(data, max(0, len(data) - LONGEST))
    return found[0] if found else b""
