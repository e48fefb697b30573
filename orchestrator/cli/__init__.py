"""The `muster` command: one command a file, loaded only when it is the one that was typed."""
