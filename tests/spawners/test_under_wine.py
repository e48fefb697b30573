"""The Windows half, run by the official CPython for Windows under wine: contracts and what is only there."""

from __future__ import annotations

import re

import pytest
import wine

pytestmark = [pytest.mark.slow, pytest.mark.needs("wine"), pytest.mark.timeout(900)]

EXPECTED = {
    "Linux only",
    "Windows has no such thing",
    "GenerateConsoleCtrlEvent fails under wine",
    "ResizePseudoConsole is not implemented by wine",
}
"""Why a test may be skipped; anything else is a hole."""

TESTS = (
    "tests/contracts/test_spawner_contract.py",
    "tests/contracts/test_terminal_contract.py",
    "tests/windows",
)


def test_agents_run_on_windows() -> None:
    """Its words are read, not a report: for one pytest asks what system this is, which ends it under wine."""
    words = ["-m", "pytest", "-p", "no:cacheprovider", "-o", "addopts=", "--import-mode=importlib"]
    words += ["-q", "-rfEs", "--strict-markers", "--timeout", "60", "-m", "not slow"]
    with wine.prefix() as prefix:
        done = prefix.python(*words, *(wine.windows_path(wine.ROOT / name) for name in TESTS), timeout_s=840)
    said = done.stdout.decode("utf-8", "replace").replace("\r\n", "\n")

    ended = re.search(r"^(\d+) passed, \d+ skipped(, \d+ deselected)? in ", said, re.MULTILINE)
    assert done.returncode == 0, said[-20_000:]
    assert ended, said[-20_000:]
    assert int(ended[1]) >= 80, said[-20_000:]
    assert set(re.findall(r"^SKIPPED \[\d+\] \S+: (.*)$", said, re.MULTILINE)) <= EXPECTED
