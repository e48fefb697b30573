"""`muster service` where nothing starts services."""

from __future__ import annotations

from pathlib import Path

import pytest
from muster_command import Muster

pytestmark = pytest.mark.needs("linux")


@pytest.mark.parametrize("path", ["", "/usr/bin:/bin"])
def test_without_a_manager_it_says_what_to_do_and_writes_nothing(
    muster: Muster, tmp_path: Path, path: str
) -> None:
    muster.variables.update(PATH=path, HOME=str(tmp_path), XDG_CONFIG_HOME="", XDG_RUNTIME_DIR=str(tmp_path))
    muster.variables["DBUS_SESSION_BUS_ADDRESS"] = ""
    for command in ("install", "status", "uninstall"):
        said = muster("service", command)
        assert (said.code, said.text) == (1, "")
        assert "muster up" in said.err
    assert not list(tmp_path.iterdir())


def test_a_wrong_setting_is_told_before_anything_is_installed(muster: Muster) -> None:
    Path(muster.home.config_file).write_text("[policy]\nmax_agents = 'x'\n")
    said = muster("service", "install")
    assert said.code == 2
    assert "max_agents" in said.err
