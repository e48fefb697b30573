"""The script that a window executes: what it holds arrives as it is, whatever that is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spawners.terminals.script import KINDS, command_of, source

VALUES = {
    "QUOTES": 'it\'s "so"',
    "SHELL_WORDS": "$HOME `id` $(id) ; & | \\ % !",
    "LINES": "one\ntwo\n",
    "LETTERS": "é漢😀",
    "EMPTY": "",
    "GONE": None,
}
TELL = "import json, os, sys; print(json.dumps([dict(os.environ), sys.argv[1:]]))"
RUNS_A_FILE = ("cProfile", "-o", os.devnull)
"""A module that an isolated Python has, and that executes a program with words of its own."""


@pytest.mark.parametrize("kind", KINDS)
def test_variables_and_words_arrive_as_they_are(kind: str, tmp_path: Path) -> None:
    path = tmp_path / ("it's a script" + KINDS[kind])
    words = ["a b", "$HOME", "'", '"', "", "é"]
    tell = tmp_path / "tell.py"
    tell.write_text(TELL)
    argv = [sys.executable, "-I", "-m", *RUNS_A_FILE, str(tell), *words]
    path.write_text(source(kind, str(path), VALUES, argv), encoding="utf-8")
    told = subprocess.run(
        command_of(kind, str(path)),
        env={"GONE": "not yet", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=True,
    )
    variables, argv = json.loads(told.stdout)
    assert argv == words
    assert {name: variables.get(name) for name in VALUES} == VALUES
    assert not path.exists()
