"""The owner's keys reach the provider they are for, and only from a file that is the owner's alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.secrets import Secrets, SecretsError
from spawners.providers.registry import BUILTIN


def written(tmp_path: Path, text: str, mode: int = 0o600) -> Secrets:
    path = tmp_path / "secrets.env"
    path.write_text(text)
    path.chmod(mode)
    return Secrets(str(path))


def test_no_file_is_no_key(tmp_path: Path) -> None:
    assert Secrets(str(tmp_path / "secrets.env")).read() == {}


def test_lines_are_as_a_shell_would_have_them(tmp_path: Path) -> None:
    secrets = written(
        tmp_path,
        "# keys\n\nA=1\nexport B = 2\n".replace("B = 2", "B=2 ") + "C='it # is'\n  D=\"x=y\"\nE=\nF='\r\n",
    )
    assert secrets.read() == {"A": "1", "B": "2", "C": "it # is", "D": "x=y", "E": "", "F": "'"}


def test_each_provider_gets_its_own(tmp_path: Path) -> None:
    secrets = written(tmp_path, "ANTHROPIC_API_KEY=a\nOPENAI_API_KEY=o\nOTHER=x\n")
    assert secrets.of(BUILTIN.get("claude")) == {"ANTHROPIC_API_KEY": "a"}
    assert secrets.of(BUILTIN.get("codex")) == {"OPENAI_API_KEY": "o"}
    assert secrets.of(BUILTIN.get("command")) == {}


def test_a_changed_file_counts_at_once(tmp_path: Path) -> None:
    secrets = written(tmp_path, "A=1")
    assert secrets.read() == {"A": "1"}
    written(tmp_path, "A=2")
    assert secrets.read() == {"A": "2"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(SecretsError, match=r"open to other users: chmod 600 .*secrets\.env"):
        written(tmp_path, "A=1", mode).read()


@pytest.mark.parametrize(
    "line", ["sk-ant-planted", "A B=sk-ant-planted", "=sk-ant-planted", "A=sk-ant-planted\0"]
)
def test_a_line_that_is_none_is_named_by_its_number_and_not_quoted(tmp_path: Path, line: str) -> None:
    with pytest.raises(SecretsError, match=r"secrets\.env:2 is no KEY=VALUE line") as error:
        written(tmp_path, f"A=1\n{line}\n").read()
    assert "planted" not in str(error.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "secrets.env").mkdir(mode=0o700)
    with pytest.raises(SecretsError, match="cannot read"):
        Secrets(str(tmp_path / "secrets.env")).read()
    with pytest.raises(SecretsError, match="UTF-8"):
        path = tmp_path / "binary"
        path.write_bytes(b"\xff")
        path.chmod(0o600)
        Secrets(str(path)).read()
