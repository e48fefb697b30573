"""The host's line to the relay: outgoing HTTP and an event stream, nothing inbound."""
