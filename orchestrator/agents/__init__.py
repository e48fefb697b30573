"""What this host knows of its agents."""
