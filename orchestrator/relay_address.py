"""Where the relay is and which token it gets: one answer for the daemon and for every command."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from orchestrator.config import Config
from relay.wire.home import Home

__all__ = ["relay_token", "relay_url"]


def relay_url(home: Home, config: Config) -> str | None:
    """Return the configured relay, else the embedded one that this home has started, else None.

    Ask anew for each attempt: the embedded relay may come back on another port.
    """
    if config.relay.url:
        return config.relay.url.rstrip("/")
    record = home.read_record(home.relay_record)
    url = record.get("url") if record else None
    return url if isinstance(url, str) else None


def relay_token(home: Home, config: Config, url: str) -> str | None:
    """Return the token for the relay at `url`.

    The embedded relay's own token goes to this machine only, never to a relay elsewhere.
    """
    if config.relay.token:
        return config.relay.token
    return home.admin_token() if _is_loopback(url) else None


def _is_loopback(url: str) -> bool:
    name = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
