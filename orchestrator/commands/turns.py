"""Whose turn it is at a terminal's keyboard: one automatic hand at a time, whoever asks for it."""

from __future__ import annotations

import asyncio
import weakref

from spawners.session import Session

__all__ = ["turn_of"]

_turns: weakref.WeakKeyDictionary[Session, asyncio.Lock] = weakref.WeakKeyDictionary()


def turn_of(session: Session) -> asyncio.Lock:
    """Return the lock to hold while typing into a terminal: two messages would run into each other."""
    return _turns.setdefault(session, asyncio.Lock())
