"""Terminal emulation, only for agents that somebody looks at."""
