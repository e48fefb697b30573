"""Terminals that their owner describes."""

from __future__ import annotations

import pytest

from spawners.terminals.custom import custom, is_template

COMMAND = ("/bin/sh", "/run/w-1")


@pytest.mark.parametrize(
    ("template", "argv"),
    [
        ("st -e {command}", ("P", "-e", "/bin/sh", "/run/w-1")),
        ("tilix -e '{command}' -t {title}", ("P", "-e", "/bin/sh", "/run/w-1", "-t", "T")),
        ("x 'run {command}' --in={cwd}", ("P", "run /bin/sh /run/w-1", "--in=/a b")),
        ("x 'a b' {command} \"c 'd'\"", ("P", "a b", "/bin/sh", "/run/w-1", "c 'd'")),
    ],
)
def test_a_template_is_split_as_a_shell_would_and_filled_in(template: str, argv: tuple[str, ...]) -> None:
    assert is_template(template)
    assert custom(template).argv("P", COMMAND, "T", "/a b") == argv


@pytest.mark.parametrize("template", ["{command}", "{command} x", "x 'unclosed {command}"])
def test_what_opens_nothing_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="the terminal"):
        custom(template)


def test_its_name_is_its_programs_and_it_is_looked_for_on_path() -> None:
    assert custom("/usr/bin/footclient -N {command}").name == "custom-footclient"
    assert custom("no-such-terminal {command}", "asked").name == "asked-no-such-terminal"
    assert custom("no-such-terminal {command}").installed("/usr/bin:/bin") is None
    assert custom("sh {command}").installed("/usr/bin:/bin") in ("/usr/bin/sh", "/bin/sh")


def test_a_name_is_no_template() -> None:
    assert not is_template("kitty")
