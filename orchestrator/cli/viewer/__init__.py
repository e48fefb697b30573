"""A person's own terminal while it shows an agent's: its settings, its keys, and whence the bytes come."""
