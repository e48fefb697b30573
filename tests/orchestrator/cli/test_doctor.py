"""`muster doctor`, where a fake daemon tells what it knows."""

from __future__ import annotations

from local_api import NOW, FakeServer
from muster_command import Muster

from relay.wire.endpoints import HEALTH, LIST_HOSTS
from relay.wire.health import Health


def test_a_relay_that_only_the_daemon_was_told_of_is_named(muster: Muster, daemon: FakeServer) -> None:
    url = "http://far.example:4850"
    daemon.on(LIST_HOSTS, [])
    daemon.on(
        HEALTH,
        Health(status="ok", role="orchestrator", version="1", generated_at=NOW, id="here", relay_url=url),
    )

    found = {check["name"]: check for check in muster("doctor", "--json").json}

    assert found["relay"]["status"] == "warn"
    assert f"`muster config set relay.url {url}`" in found["relay"]["detail"]
