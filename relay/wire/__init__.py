"""Every word spoken between hosts, the relay and their clients. A leaf: imports nothing else of ours."""
