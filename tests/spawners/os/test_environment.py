"""The variables that Windows keeps for a new logon, put together as it does."""

from __future__ import annotations

from spawners._os.environment import expanded, merged

OWN = {"SystemRoot": r"C:\Windows", "PATH": r"C:\stale", "TEMP": "here"}


def test_the_user_s_path_follows_the_machine_s_and_ours_is_forgotten() -> None:
    machine = {"Path": (r"%SystemRoot%\system32;C:\node;", True)}
    user = {"PATH": (r"%USERPROFILE%\bin;%NONE%\x", True)}
    volatile = {"USERPROFILE": (r"C:\Users\zo", False)}

    env = merged([machine, volatile, user], OWN)

    assert env["PATH"] == r"C:\Windows\system32;C:\node;C:\Users\zo\bin;%NONE%\x"
    assert env["TEMP"] == "here"


def test_the_user_s_value_replaces_the_machine_s() -> None:
    env = merged([{"EDITOR": ("ed", False)}, {"Editor": ("vi", False)}], OWN)

    assert env["EDITOR"] == "vi"
    assert "Editor" not in env


def test_a_value_may_name_another_of_the_same_place_whatever_the_order() -> None:
    env = merged([{"A": (r"%Z%\a", True), "Z": (r"C:\z", False)}], {})

    assert env["A"] == r"C:\z\a"


def test_only_what_says_so_is_expanded() -> None:
    assert merged([{"A": ("100%SystemRoot%", False)}], OWN)["A"] == "100%SystemRoot%"
    assert expanded("%a%%%A%=%", {"A": "x"}) == "x%x=%"


def test_a_machine_without_a_path_does_not_keep_ours_before_the_user_s() -> None:
    assert merged([{}, {"Path": ("C:\\u", False)}], OWN)["PATH"] == "C:\\u"
