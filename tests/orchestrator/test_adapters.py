"""Which providers a host has: its owner's word counts, and nothing that is broken stops it."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from scripting import SCRIPTED, define

from orchestrator.adapters import GROUP, find_providers
from spawners.providers.base import UnknownProvider
from spawners.providers.registry import BUILTIN, HERE


def package(folder: Path, name: str, source: str) -> EntryPoint:
    """An installed package's entry point: `name` of the module that holds `source`."""
    module = f"adapter_{folder.name}"
    (folder / f"{module}.py").write_text(source)
    return EntryPoint(name, f"{module}:PROVIDER", GROUP)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, f"adapter_{tmp_path.name}", raising=False)
    return tmp_path


ANOTHER = """
from spawners.providers.claude import Claude
class Another(Claude):
    name = "another"
PROVIDER = Another()
"""


def test_without_files_and_packages_it_is_those_of_this_version(tmp_path: Path) -> None:
    found = find_providers(str(tmp_path), ())

    assert found.names() == BUILTIN.names()
    assert (found.source("claude"), found.problems) == (HERE, ())


def test_a_file_is_a_provider_and_its_variables_and_marks_count(tmp_path: Path) -> None:
    file = define(tmp_path)
    (tmp_path / "providers" / "README").write_text("not one")

    found = find_providers(str(tmp_path), ())

    assert found.names() == (*BUILTIN.names(), "scripted")
    assert (found.source("scripted"), found.problems) == (str(file), ())
    host = {"SCRIPTED_KEY": "k", "IN_SCRIPTED": "1", "ANTHROPIC_API_KEY": "a", "PATH": "/bin"}
    assert found.environment(found.get("scripted"), host, {}) == {"SCRIPTED_KEY": "k", "PATH": "/bin"}
    assert "SCRIPTED_KEY" not in found.environment(found.get("claude"), host, {})
    assert "SCRIPTED_KEY" in found.secrets()


def test_a_file_counts_before_the_adapter_of_this_version(tmp_path: Path) -> None:
    file = define(tmp_path, "codex")

    found = find_providers(str(tmp_path), ())

    assert found.get("codex").binaries == ("scripted",)
    assert (found.source("codex"), found.problems) == (str(file), ())


def test_a_broken_file_takes_its_name_along_and_is_told(tmp_path: Path) -> None:
    """Else the adapter that the owner wanted replaced would run."""
    file = define(tmp_path, "codex", SCRIPTED.replace("argv = [", "argvv = [", 1))

    found = find_providers(str(tmp_path), ())

    with pytest.raises(UnknownProvider):
        found.get("codex")
    assert found.names() == tuple(name for name in BUILTIN.names() if name != "codex")
    assert found.problems[0].startswith(f"{file}: there is no key cli.version_argvv; known are: ")


@pytest.mark.parametrize("name", ["command", "Not a name"])
def test_no_file_takes_a_name_that_it_may_not(tmp_path: Path, name: str) -> None:
    define(tmp_path, name)

    found = find_providers(str(tmp_path), ())

    assert found.names() == BUILTIN.names()
    assert len(found.problems) == 1


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    define(tmp_path).write_bytes(b"\xff\xfe")
    (tmp_path / "providers" / "gone.toml").symlink_to("nowhere")

    assert len(find_providers(str(tmp_path), ()).problems) == 2


def test_a_package_can_have_one(folder: Path) -> None:
    found = find_providers(str(folder), [package(folder, "another", ANOTHER)])

    assert found.get("another").binaries == ("claude",)
    assert found.source("another").startswith("entry point adapter_")
    assert found.problems == ()


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("another", "raise SystemError('half installed')", "half installed"),
        ("another", "x = 1", "PROVIDER"),
        ("another", "PROVIDER = object()", "it is no provider: it has no name"),
        ("wrong", ANOTHER, "it calls itself 'another'"),
        ("claude", ANOTHER.replace('"another"', '"claude"'), "there is already"),
    ],
)
def test_a_bad_package_is_told_and_takes_nothing_away(
    folder: Path, name: str, source: str, words: str
) -> None:
    found = find_providers(str(folder), [package(folder, name, source)])

    assert found.names() == BUILTIN.names()
    assert type(found.get("claude")).__name__ == "Claude"
    assert len(found.problems) == 1
    assert words in found.problems[0]


def test_a_file_counts_before_a_package(folder: Path) -> None:
    file = define(folder, "another")

    found = find_providers(str(folder), [package(folder, "another", ANOTHER)])

    assert found.get("another").binaries == ("scripted",)
    assert (found.source("another"), found.problems) == (str(file), ())
