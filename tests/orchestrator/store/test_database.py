"""The host's database: durable, private, and clear about what it cannot do."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from orchestrator.agents.record import WindowKey
from orchestrator.agents.registry import Registry
from orchestrator.store.commands import CommandLog
from orchestrator.store.database import SCHEMA, Database, DatabaseUnusable
from orchestrator.store.facts import Facts
from relay.wire.commands import CommandAck, Outcome
from relay.wire.windows import Window, WindowState


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "host.db"
    database = Database(str(path))
    files = list(tmp_path.iterdir())
    assert len(files) == 3, "with its log, which holds the same"
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    database.close()


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "host.db"
    Database(str(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={len(SCHEMA) + 1}")
    before = path.read_bytes()
    with pytest.raises(DatabaseUnusable, match="newer Muster"):
        Database(str(path))
    assert path.read_bytes() == before


def test_what_is_not_a_database_is_said(tmp_path: Path) -> None:
    path = tmp_path / "host.db"
    path.write_text("this is a note, not a database " * 100)
    with pytest.raises(DatabaseUnusable, match=r"host\.db"):
        Database(str(path))


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "host.db"))
    facts = Facts(database)
    with pytest.raises(RuntimeError), database.transaction():
        facts.set("a", "1")
        raise RuntimeError
    assert facts.get("a") is None
    facts.set("a", "2")
    assert facts.get("a") == "2"


EARLIER = """
{"agent": {"id": "ag-0123456789ab", "status": "running", "provider": "command", "mode": "terminal",
 "createdAt": 5,
  "window": {"id": "w-0123456789ab", "terminal": "xterm", "state": "open", "pid": 4242, "tty": "/dev/pts/3",
   "handles": {"WINDOWID": "7"}, "openedAt": 7, "closedAt": null, "reason": null, "onClose": "stop"}},
 "directory": "/d", "window": {"token_hash": "h", "started": 9, "boot_id": "b"}}
"""
"""As it was while an agent had one window, whose handles everybody was told."""


def test_an_agent_of_an_earlier_version_and_its_window_are_known(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "host.db"))
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO agents (id, caller, record) VALUES ('ag-0123456789ab', '', ?)", (EARLIER,)
        )

    (record,) = Registry(database, "here")

    assert record.window == WindowKey(token_hash="h", started=9, boot_id="b")
    assert record.agent.window == Window(
        id="w-0123456789ab", terminal="xterm", state=WindowState.OPEN, pid=4242, tty="/dev/pts/3",
        opened_at=7, on_close="stop",
    )  # fmt: skip


def test_a_command_is_taken_once(tmp_path: Path) -> None:
    log = CommandLog(Database(str(tmp_path / "host.db")))
    assert log.take("7:100")
    assert not log.take("7:100")
    assert log.take("7:101"), "the same number from another relay is another command"
    assert log.answer("7:100") is None
    log.settle("7:100", CommandAck(instance_id="i", epoch=1, outcome=Outcome.DONE))
    answer = log.answer("7:100")
    assert answer is not None
    assert answer.outcome is Outcome.DONE
