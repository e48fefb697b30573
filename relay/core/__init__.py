"""The rules of the relay, behind the ports `Store` and `Bus`."""
