"""The central server: store, HTTP and event-stream API. Imports neither the orchestrator nor the spawners."""
