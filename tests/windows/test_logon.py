"""The session in which windows open: seen by a person, or one of services where nobody would see them."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.needs("windows")


async def test_a_process_of_a_person_s_session_has_a_desktop() -> None:
    from spawners._os.logon import find_desktop
    from spawners.terminals.base import Display

    desktop = await find_desktop(os.environ)

    assert (desktop.kind, desktop.problem) == (Display.DESKTOP, "")
    assert desktop.source.startswith("logon session ")


@pytest.mark.parametrize(("variables", "how"), [({}, "service"), ({"SSH_CONNECTION": "x"}, "ssh")])
def test_session_0_has_none_and_says_what_to_do(variables: dict[str, str], how: str) -> None:
    from spawners._os.logon import in_session

    desktop = in_session(0, variables)

    assert desktop.kind is None
    assert how in desktop.problem
    assert "muster up" in desktop.problem


def test_the_terminals_are_those_of_windows() -> None:
    from spawners.terminals.catalog import terminals

    assert [terminal.name for terminal in terminals()][:2] == ["console", "wt"]
