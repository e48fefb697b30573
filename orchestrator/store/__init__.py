"""The daemon's own SQLite database: the only SQL on a host."""
