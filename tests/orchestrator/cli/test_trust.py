"""Trust is given by hand, at the host, and shown."""

from __future__ import annotations

from pathlib import Path

from muster_command import Muster


def test_a_folder_is_put_on_the_list_shown_and_taken_off(muster: Muster, tmp_path: Path) -> None:
    assert "no folder is trusted" in muster("trust", "--list").text
    assert muster("trust", str(tmp_path)).text == f"trusted: {tmp_path}\n"
    muster.variables["MUSTER_POLICY_TRUST"] = "/by/policy"
    assert muster("trust", "--list").text.splitlines() == [str(tmp_path), "/by/policy"]
    assert muster("trust", "--list", "--json").json == [str(tmp_path), "/by/policy"]
    removed = muster("trust", "--remove", str(tmp_path)).text
    assert removed.startswith(f"no longer trusted: {tmp_path} (a CLI that was told before keeps it")
    assert muster("trust", "--remove", str(tmp_path)).code == 3


def test_nothing_is_trusted_by_mistake(muster: Muster, tmp_path: Path) -> None:
    assert muster("trust").code == 2
    assert muster("trust", "--remove").code == 2
    gone = muster("trust", str(tmp_path / "gone"))
    assert (gone.code, "is no folder; create it first" in gone.err) == (2, True)
    muster.variables["MUSTER_AGENT_ID"] = "ag-000000000001"
    asked = muster("trust", str(tmp_path))
    assert (asked.code, "an agent cannot give trust" in asked.err) == (5, True)
    assert "no folder" in muster("trust", "--list").text
