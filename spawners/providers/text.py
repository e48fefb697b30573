"""Text of a CLI as it can be stored and shown anywhere."""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["MAX_TEXT", "canonical", "clip", "version_line"]

MAX_TEXT = 64 * 1024
"""Characters of an answer or an error that are kept; all of it stays in the output."""


def clip(text: str) -> str:
    """`text` with at most `MAX_TEXT` characters, no NUL, valid Unicode."""
    cut = text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
    return cut.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def canonical(value: Any) -> str:
    """`value` as JSON with sorted keys: equal values have equal text."""
    return clip(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str))


def version_line(text: str) -> str | None:
    """The version in `text` that is on a line of its own, like `0.61.0`."""
    found = re.search(r"^\d+\.\d+\.\d+\S*$", text, re.MULTILINE)
    return found[0] if found else None
