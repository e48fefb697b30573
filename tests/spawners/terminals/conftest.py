"""Sessions to open windows in, and a short private folder for what runs in them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from desktop import shots, wayland_desktop, wayland_session, x_desktop, x_session
from systemd_user import user_manager

__all__ = ["folder", "shots", "user_manager", "wayland_desktop", "wayland_session", "x_desktop", "x_session"]


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="mu-f-", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)
