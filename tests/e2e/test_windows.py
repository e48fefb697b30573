"""Muster on Windows, run by the official CPython for Windows under wine, with a desktop for its consoles."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
import wine

pytestmark = [pytest.mark.slow, pytest.mark.needs("wine", "xvfb"), pytest.mark.timeout(900)]

NO_WMI = "wbemprox="
"""wine 8 has no VariantToString, which Python's `platform` calls when it asks WMI for the system."""


@pytest.fixture
def display() -> Iterator[str]:
    read, write = os.pipe()
    words = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1024x768x24", "-nolisten", "tcp"]
    server = subprocess.Popen(words, pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as number:
        yield f":{number.readline().strip()}"
    server.terminate()
    server.wait()


def test_muster_works_on_windows(display: str) -> None:
    words = ["-m", "pytest", "-p", "no:cacheprovider", "-o", "addopts=", "--import-mode=importlib", "-q"]
    words += ["-rs", "--strict-markers", "--basetemp", r"C:\tests"]
    words += [wine.windows_path(wine.ROOT / "tests" / "wine")]
    variables = {"DISPLAY": display, "WINEDLLOVERRIDES": NO_WMI}

    with wine.prefix() as prefix:
        done = prefix.python(*words, env=variables, timeout_s=880)

    said = done.stdout.decode("utf-8", "replace")[-20_000:]
    assert done.returncode == 0, said + done.stderr.decode("utf-8", "replace")[-2_000:]
    assert "8 passed" in said.splitlines()[-1], said
