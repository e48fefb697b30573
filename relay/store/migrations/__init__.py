"""The database's versions, oldest first."""

from __future__ import annotations

__all__ = ["REVISIONS"]

REVISIONS = ("0001", "0002")
"""Kept here as well as in `versions/` so that an up-to-date database is known as such without
importing Alembic, which takes 0.25 s. A test compares the two."""
