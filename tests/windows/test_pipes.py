"""What a keeper of Windows promises of the pipes of its program."""

from __future__ import annotations

import os
import sys

import pytest

pytestmark = pytest.mark.needs("windows")

if sys.platform == "win32":
    import _winapi

    from spawners.keeper.windows import api
    from spawners.keeper.windows.console import make_output
    from spawners.keeper.windows.pipes import DEVICES, MOST_READ, Reader


def test_what_was_written_is_read_though_no_thread_has_handed_it_over_yet() -> None:
    ours, theirs = make_output()
    reader = Reader(ours)
    with pytest.raises(BlockingIOError):
        reader.read(100)  # its thread waits from here on

    with reader.moved:  # and now cannot hand over what it gets
        _winapi.WriteFile(theirs, b"the last words")
        assert reader.begun is not None
        assert api.wait_for(reader.begun.event, 30_000) == 0
        assert reader.read(100) == b"the last words"
    api.close_handle(theirs)


def test_all_that_fits_between_a_program_and_its_keeper_is_read_without_waiting() -> None:
    ours, theirs = make_output()
    reader = Reader(ours)
    written = b"".join(os.urandom(1024) for _ in range(MOST_READ // 1024 + 32))
    _winapi.WriteFile(theirs, written)

    seen = b""
    while len(seen) < len(written):
        seen += reader.read(1000)
    assert seen == written
    with pytest.raises(BlockingIOError):
        reader.read(1)
    api.close_handle(theirs)
    with reader.moved:
        assert reader.moved.wait_for(lambda: reader.ended, 30)
    assert reader.read(1) == b""


def test_a_pipe_that_is_closed_while_its_program_lives_leaves_no_thread() -> None:
    ours, theirs = make_output()
    reader = Reader(ours)
    DEVICES.pop(reader.number).close()

    with reader.moved:
        assert reader.moved.wait_for(lambda: reader.ended, 30)
    api.close_handle(theirs)
