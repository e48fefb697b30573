"""The Windows half, run by the official CPython for Windows under wine: contracts and what is only there."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import pytest
import wine

pytestmark = [pytest.mark.slow, pytest.mark.needs("wine"), pytest.mark.timeout(400)]

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


def test_agents_run_on_windows(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    words = ["-m", "pytest", "-p", "no:cacheprovider", "-o", "addopts=", "--import-mode=importlib", "-q"]
    words += ["--strict-markers", "--timeout", "60", "-m", "not slow"]
    words += [wine.windows_path(wine.ROOT / name) for name in TESTS]
    with wine.prefix() as prefix:
        done = prefix.python(*words, "--junitxml", wine.windows_path(report), timeout_s=380)
    said = done.stdout.decode("utf-8", "replace")[-20_000:] + done.stderr.decode("utf-8", "replace")[-2_000:]
    assert done.returncode == 0, said

    cases = list(ElementTree.parse(report).iter("testcase"))
    skipped = Counter(found.get("message", "") for case in cases for found in case.iter("skipped"))
    assert set(skipped) <= EXPECTED, skipped
    assert len(cases) - skipped.total() >= 80, said
