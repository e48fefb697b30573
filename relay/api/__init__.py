"""Routes of the relay: nothing is decided here."""
