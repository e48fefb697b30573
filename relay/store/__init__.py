"""The only SQL of the relay: SQLAlchemy Core, the same code on SQLite and PostgreSQL."""
