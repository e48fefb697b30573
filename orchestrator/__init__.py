"""The daemon of one host and the `muster` command."""
