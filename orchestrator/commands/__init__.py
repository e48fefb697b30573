"""What may be asked of a host, one request a file. Called by the local API and by the relay's commands."""
