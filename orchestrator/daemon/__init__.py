"""The loops of the daemon, one a file; app.py wires them together."""
