"""What people read and install: README, changelog, wheel, and what an installation brings along."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sources import PACKAGES, ROOT

from orchestrator.cli.failures import Exit
from orchestrator.cli.main import COMMANDS
from orchestrator.config import KEYS
from relay.wire.agents import CauseKind, Status

MAX_BASE_PACKAGES = 40
FIRST = (
    ".venv/bin/pip install -q '.[all]' && "
    """.venv/bin/muster run -- python3 -c 'print("hello from an agent")'"""
)
TESTS = ".venv/bin/pip install -q '.[all,test]' && .venv/bin/pytest"


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """Return the part of the README under this heading."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", readme(), re.MULTILINE | re.DOTALL)
    assert found is not None, f"README.md has no section {title!r}"
    return found.group(1)


def first_column(text: str) -> set[str]:
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def project() -> dict[str, object]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert isinstance(table, dict)
    return table


def test_the_readme_holds_one_command_to_run_and_one_to_test() -> None:
    commands = [line for line in readme().splitlines() if line.startswith("python3 -m venv")]
    assert commands == [f"python3 -m venv .venv && {rest}" for rest in (FIRST, TESTS)]


def shown(value: object) -> str:
    """A default as the README shows it; an empty one as nothing."""
    if isinstance(value, list):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{value}`" if value not in ("", {}) else ""


def test_the_readme_documents_every_setting() -> None:
    text = section("Settings")
    missing = [
        row
        for key in KEYS
        if (row := f"| `{key.name}` | {shown(key.default)} | {key.doc} |") not in text.splitlines()
    ]
    assert not missing, "README.md lacks these rows:\n" + "\n".join(missing)
    assert first_column(text) == {key.name for key in KEYS}


def test_the_readme_explains_every_status_and_cause() -> None:
    assert first_column(section("What it promises")) == {*Status, *CauseKind}


def test_the_readme_explains_every_exit_code() -> None:
    text = section("Exit codes")
    assert all(re.search(rf"\b{code:d}\b", text) for code in Exit)


def test_the_readme_names_only_commands_that_exist() -> None:
    named = re.findall(r"^(?:\w\$ )?muster ([a-z]+)|`muster ([a-z]+)", readme(), re.MULTILINE)
    assert named and {one or other for one, other in named} <= set(COMMANDS)


def test_the_changelog_begins_with_this_version() -> None:
    changelog = (ROOT / "packaging/CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    assert newest is not None and newest.group(1) == project()["version"]


def brought_by(name: str) -> set[str]:
    """Return every distribution that `pip install NAME` brings on this system, without extras."""
    found: set[str] = set()
    wanted: set[tuple[str, frozenset[str]]] = {(name, frozenset({""}))}
    seen: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        current = wanted.pop()
        seen.add(current)
        found.add(current[0])
        for line in importlib.metadata.requires(current[0]) or []:
            needed = Requirement(line)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in current[1]):
                extras = frozenset(needed.extras) | {""}
                wanted |= {(canonicalize_name(needed.name), extras)} - seen
    return found


def test_the_base_installation_stays_small() -> None:
    packages = brought_by("musterd")
    print(f"{len(packages)} packages: {', '.join(sorted(packages))}")
    assert {"musterd", "httpx", "sqlalchemy", "greenlet"} <= packages
    assert "pytest" not in packages and len(packages) <= MAX_BASE_PACKAGES


def test_the_wheel_holds_the_packages_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling builds the wheel; it comes with the extra `test`")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    roots = {name.partition("/")[0] for name in names}
    assert roots == {*PACKAGES, f"musterd-{project()['version']}.dist-info"}
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert "spawners/keeper/program.py" in names
    assert {"relay/store/migrations/env.py", "relay/store/migrations/versions/0001_first.py"} <= names
    assert any(name.endswith("licenses/packaging/LICENSE") for name in names)
    assert not any("__pycache__" in name or "/tests/" in name for name in names)
