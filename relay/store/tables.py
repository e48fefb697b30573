"""The tables. Migrations lead to exactly this; a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = ["AGENTS", "COMMANDS", "EVENTS", "HOSTS", "METADATA", "MILLIS", "NUMBER", "TOKENS", "TRIMMED"]

METADATA = MetaData()

MILLIS = BigInteger
NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in a column of type INTEGER."""

AGENTS = Table(
    "agents",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("status", String(16), nullable=False),
    Column("host_id", Text),
    Column("provider", Text, nullable=False),
    Column("label", Text),
    Column("parent_id", Text),
    Column("tags", Text, nullable=False),
    Column("caller", Text),
    Column("idempotency_key", Text),
    Column("confirmed", Boolean, nullable=False),
    Column("stored_at", MILLIS, nullable=False),
    Column("delivered_at", MILLIS),
    Column("ended_at", MILLIS),
    Column("body", Text, nullable=False),
    Column("approvals", Text),
    Column("pending_approvals", Integer, nullable=False, server_default="0"),
    UniqueConstraint("caller", "idempotency_key", name="uq_agents_key"),
    Index("ix_agents_host", "host_id", "ended_at"),
    Index("ix_agents_label", "label"),
    Index("ix_agents_stored", "stored_at"),
    Index("ix_agents_ended", "ended_at"),
    Index("ix_agents_pending", "pending_approvals"),
)

HOSTS = Table(
    "hosts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("online", Boolean, nullable=False),
    Column("draining", Boolean, nullable=False),
    Column("changed_at", MILLIS, nullable=False),
    Column("last_seen", MILLIS, nullable=False),
    Column("created_at", MILLIS, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("skew_ms", BigInteger, nullable=False),
    Column("load", Text, nullable=False),
    Column("facts", Text, nullable=False),
)

COMMANDS = Table(
    "commands",
    METADATA,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("host_id", Text),
    Column("agent_id", String(64)),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("payload", Text, nullable=False),
    Column("outcome", Text),
    Column("created_at", MILLIS, nullable=False),
    Column("expires_at", MILLIS),
    Column("deadline_at", MILLIS),
    Column("delivered_at", MILLIS),
    Column("settled_at", MILLIS),
    Index("ix_commands_host", "state", "host_id", "id"),
    Index("ix_commands_agent", "agent_id"),
    sqlite_autoincrement=True,
)

EVENTS = Table(
    "events",
    METADATA,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("type", String(64), nullable=False),
    Column("at", MILLIS, nullable=False),
    Column("received_at", MILLIS, nullable=False),
    Column("host_id", Text),
    Column("agent_id", String(64)),
    Column("data", Text, nullable=False),
    sqlite_autoincrement=True,
)

TRIMMED = Table(
    "events_trimmed",
    METADATA,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("last_id", BigInteger, nullable=False),
)

TOKENS = Table(
    "tokens",
    METADATA,
    Column("name", String(128), primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("scope", String(16), nullable=False),
    Column("bound_to", Text),
    Column("label", Text),
    Column("created_at", MILLIS, nullable=False),
    Column("expires_at", MILLIS),
    Column("last_used_at", MILLIS),
    UniqueConstraint("hash", name="uq_tokens_hash"),
)
