"""What is said of a server that does not answer."""

from __future__ import annotations

import httpx
import pytest

from relay.wire.client import Client, Unreachable
from relay.wire.endpoints import LIST_AGENTS


def test_an_error_without_words_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> httpx.Response:
        raise httpx.ReadError("")

    monkeypatch.setattr(httpx.Client, "request", fail)
    monkeypatch.setattr(httpx.Client, "send", fail)
    client = Client("http://127.0.0.1:1")

    with pytest.raises(Unreachable, match="ReadError"):
        client.call(LIST_AGENTS)
