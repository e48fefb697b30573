"""A server looks for garbage from its start on, and not among what it imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from running import environment

MAIN = """
import gc, importlib, sys
server = importlib.import_module(sys.argv[1])
imported = gc.isenabled()
server.main(sys.argv[2:])
print(imported, gc.isenabled(), gc.get_freeze_count() > 10_000)
"""


@pytest.mark.parametrize(
    "refused",
    [("orchestrator.__main__", "--label", "no value"), ("relay.__main__", "--bind", "0.0.0.0:0")],
    ids=["orchestrator", "relay"],
)
def test_what_a_server_imports_is_not_looked_through_and_the_rest_is(
    tmp_path: Path, refused: tuple[str, ...]
) -> None:
    run = [sys.executable, "-c", MAIN, *refused]
    said = subprocess.run(run, env=environment(tmp_path), check=True, capture_output=True, text=True)
    assert said.stdout.splitlines()[-1] == "False True True"
