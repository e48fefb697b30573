"""What a plan's edits make of a JSON file of the CLI's: pure functions over its text."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable
from typing import Any

from spawners.providers.base import Edit

__all__ = ["EditRefused", "edited"]

COMMENT = re.compile(r"(?:[ \t]*//[^\n]*\n)+")


class EditRefused(Exception):
    """The file does not hold what an edit expects; the message says where, and nothing was changed."""


def edited(text: str, edits: Iterable[Edit]) -> str | None:
    """The JSON in `text` (empty: an empty object) with `edits` in it; None if they are in it already.

    What no edit names stays, in its order, and so do lines of comment (`//`) above it. Raises
    `EditRefused` for what is no JSON object, and where an edit leads through something that is neither
    absent nor what it needs there.
    """
    head = COMMENT.match(text)
    comment = head[0] if head else ""
    text = text[len(comment) :]
    try:
        before = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise EditRefused(f"it is not valid JSON ({error})") from None
    if not isinstance(before, dict):
        raise EditRefused("it holds no JSON object")
    after = copy.deepcopy(before)
    for edit in edits:
        _apply(after, edit)
    if after == before:
        return None
    found = json.dumps(after, indent=2, ensure_ascii=False)
    try:
        found.encode()
    except UnicodeEncodeError:  # half a pair, as JSON can escape and UTF-8 cannot hold
        found = json.dumps(after, indent=2)
    return f"{comment}{found}\n"


def _apply(root: dict[str, Any], edit: Edit) -> None:
    *way, last = edit.keys
    table = root
    for depth, key in enumerate(way, 1):
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise EditRefused(f"{_path(edit.keys[:depth])} is no object in it")
    if edit.append:
        several = table.setdefault(last, [])
        if not isinstance(several, list):
            raise EditRefused(f"{_path(edit.keys)} is no list in it")
        if edit.value not in several:
            several.append(edit.value)
    elif not (edit.only_absent and last in table):
        table[last] = edit.value


def _path(keys: Iterable[str]) -> str:
    return ".".join(json.dumps(key, ensure_ascii=False) if "." in key else key for key in keys)
