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


NOT_STARTED = "Internal error"
"""What wine 8 says when it has failed to make a process at all: once in a few thousand on a busy machine."""


def run(prefix: wine.Wine, *tests: str) -> tuple[int, str]:
    """The exit code of pytest, and its words: a report would ask for the system, which ends it here."""
    words = ["-m", "pytest", "-p", "no:cacheprovider", "-o", "addopts=", "--import-mode=importlib"]
    words += ["-q", "-rfEs", "--strict-markers", "--timeout", "60", "-m", "not slow"]
    done = prefix.python(*words, *tests, timeout_s=840)
    return done.returncode, done.stdout.decode("utf-8", "replace").replace("\r\n", "\n")


def test_agents_run_on_windows() -> None:
    with wine.prefix() as prefix:
        code, said = run(prefix, *(wine.windows_path(wine.ROOT / name) for name in TESTS))
        unlucky = re.findall(r"^FAILED (.+?)(?: - .*)?$", said, re.MULTILINE)
        if 0 < len(unlucky) <= said.count(NOT_STARTED) and len(unlucky) <= 2:
            code, again = run(prefix, *(f"{wine.windows_path(wine.ROOT)}\\{name}" for name in unlucky))
            assert code == 0, again[-20_000:]

    ended = re.search(r"^(?:\d+ failed, )?(\d+) passed, \d+ skipped.* in ", said, re.MULTILINE)
    assert code == 0, said[-20_000:]
    assert ended, said[-20_000:]
    assert int(ended[1]) >= 80, said[-20_000:]
    assert set(re.findall(r"^SKIPPED \[\d+\] \S+: (.*)$", said, re.MULTILINE)) <= EXPECTED
