"""Asking a server of ours to end."""

from __future__ import annotations

import os
import threading

import pytest

from relay.wire import ending

pytestmark = pytest.mark.needs("windows")


def test_a_server_ends_when_it_is_asked_but_by_no_event_that_somebody_else_has_made() -> None:
    kernel, told = ending._kernel(), threading.Event()
    taken = kernel.CreateEventW(None, True, False, ending._name(os.getpid()))
    ending.when_asked_to_end(told.set)
    assert "ending" not in [thread.name for thread in threading.enumerate()]
    kernel.CloseHandle(taken)
    assert not ending.ask_to_end(os.getpid())

    ending.when_asked_to_end(told.set)
    assert ending.ask_to_end(os.getpid())
    assert told.wait(30)
