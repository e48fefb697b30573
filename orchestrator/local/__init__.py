"""The daemon's own API on this host: the relay's endpoints, answered without the relay."""
