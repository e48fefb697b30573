"""Processes and terminals. Knows no relay, level or workflow, and imports nothing else of Muster."""
