"""The names of this host that every one of its daemons keeps."""

from __future__ import annotations

import uuid

import msgspec

from orchestrator.config import Config
from orchestrator.store.facts import Facts

__all__ = ["state_id", "with_lasting_id"]


def with_lasting_id(config: Config, facts: Facts) -> Config:
    """Return `config` with the id this host was last given, if none is given now.

    A daemon that is started again without its options must not become another host to the relay.
    """
    host_id = config.host.id or facts.get("host_id") or config.host_id
    facts.set("host_id", host_id)
    return msgspec.structs.replace(config, host=msgspec.structs.replace(config.host, id=host_id))


def state_id(facts: Facts) -> str:
    """Return the id of this state directory, made on first use."""
    found = facts.get("state_id")
    if found is None:
        found = uuid.uuid4().hex
        facts.set("state_id", found)
    return found
