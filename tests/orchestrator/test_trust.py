"""Only what the owner has named is trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.trust import Trust
from relay.wire.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(str(tmp_path / "state"), str(tmp_path), str(tmp_path / "run"))


def test_a_folder_and_what_is_in_it_is_trusted_until_that_is_taken_back(home: Home, tmp_path: Path) -> None:
    trust, work = Trust(home), tmp_path / "work"
    (work / "sub").mkdir(parents=True)
    assert not trust.holds(str(work))

    assert trust.add(str(work)) == str(work)
    assert trust.add(str(work)) == str(work)

    assert Trust(home).folders() == [str(work)]
    assert [trust.holds(str(path)) for path in (work, work / "sub", tmp_path, f"{work}-2")] == [
        *(True, True),
        *(False, False),
    ]
    assert trust.remove(str(work)) == str(work)
    assert not trust.holds(str(work))
    assert trust.remove(str(work)) is None


def test_it_is_the_real_folder_that_counts(home: Home, tmp_path: Path) -> None:
    real, link, other = (tmp_path / name for name in ("real", "link", "other"))
    real.mkdir()
    other.mkdir()
    link.symlink_to(real)
    trust = Trust(home)

    assert trust.add(str(link)) == str(real)
    link.unlink()
    link.symlink_to(other)

    assert trust.holds(str(real))
    assert not trust.holds(os.path.realpath(link))


def test_a_folder_that_is_gone_can_be_taken_off_and_not_put_on(home: Home, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    trust = Trust(home)
    trust.add(str(gone))
    gone.rmdir()
    with pytest.raises(NotADirectoryError):
        trust.add(str(gone))
    assert trust.remove(str(gone)) == str(gone)


def test_the_policy_adds_to_the_list(home: Home, tmp_path: Path) -> None:
    assert Trust(home, [str(tmp_path)]).holds(str(tmp_path / "x"))
    assert not Trust(home, [str(tmp_path)]).holds("/")
    assert Trust(home, ["*"]).holds("/")


@pytest.mark.parametrize("content", ["", "{", "{}", "[1, null]"])
def test_a_list_that_cannot_be_read_trusts_nothing(home: Home, tmp_path: Path, content: str) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "trusted.json").write_text(content)
    assert not Trust(home).holds(str(tmp_path))


def test_the_list_is_private(home: Home, tmp_path: Path) -> None:
    Trust(home).add(str(tmp_path))
    assert (tmp_path / "state" / "trusted.json").stat().st_mode & 0o777 == 0o600
