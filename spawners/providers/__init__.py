"""Adapters of the AI coding CLIs: pure functions from what is asked to argv, environment, stdin and files.

Nothing in here does I/O. One file a provider, listed in `registry.py`; no other file knows its name.
"""
