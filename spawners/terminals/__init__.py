"""Native terminal windows: what is known of each terminal, which to take, and opening one."""
