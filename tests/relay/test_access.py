"""Who may come in, and what a bad request is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from databases import sqlite_store
from openapi_spec_validator import validate
from relay_in_process import ADMIN_TOKEN, RelayInProcess

from relay.config import RelayConfig
from relay.wire import endpoints
from relay.wire.endpoints import ENDPOINTS
from relay.wire.errors import ApiError, Code
from relay.wire.health import Scope, TokenRequest

PLAIN = ssl.create_default_context()
"""Nothing here is encrypted; to read every authority again for each request takes longer than the request."""


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[RelayInProcess]:
    """One on SQLite: which store it is makes no difference here."""
    async with sqlite_store(tmp_path) as store:
        server = RelayInProcess(store, RelayConfig(), tmp_path)
        await server.start()
        yield server
        await server.stop()


async def ask(relay: RelayInProcess, method: str, path: str, **options: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", **options.pop("headers", {})}
    headers = {name: value for name, value in headers.items() if value}
    async with httpx.AsyncClient(base_url=relay.url, trust_env=False, verify=PLAIN) as http:
        return await http.request(method, path, headers=headers, **options)


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def test_a_token_is_needed_and_either_header_takes_it(relay: RelayInProcess) -> None:
    path = "/api/orchestrators"
    none = await ask(relay, "GET", path, headers={"Authorization": ""})
    assert code(none) == (401, Code.UNAUTHORIZED)
    assert "MUSTER_TOKEN" in none.json()["error"]["message"]
    foreign = await ask(relay, "GET", path, headers={"Authorization": "Bearer mst_foreign"})
    assert code(foreign) == (401, Code.UNAUTHORIZED)
    assert "another relay" in foreign.json()["error"]["message"]
    other = {"Authorization": "", "X-Agent-Relay-Token": ADMIN_TOKEN}
    assert (await ask(relay, "GET", path, headers=other)).status_code == 200


async def test_an_expired_token_says_so(relay: RelayInProcess) -> None:
    token = await relay.token(Scope.VIEWER, expires_in_ms=50)
    viewer = relay.client(token)
    async with asyncio.timeout(60):
        while True:
            try:
                await viewer.call(endpoints.LIST_HOSTS)
            except ApiError as error:
                assert error.code is Code.UNAUTHORIZED
                assert "has expired" in error.message
                return


async def test_a_token_shows_when_it_was_last_used(relay: RelayInProcess) -> None:
    admin = relay.client()
    created = await admin.call(endpoints.CREATE_TOKEN, TokenRequest(scope=Scope.VIEWER))

    async def last_used() -> int | None:
        listed = {token.name: token for token in await admin.call(endpoints.LIST_TOKENS)}
        return listed[created.name].last_used_at

    assert await last_used() is None
    await relay.client(created.token).call(endpoints.LIST_HOSTS)
    assert await last_used() is not None


async def test_a_revoked_token_is_out_at_once(relay: RelayInProcess) -> None:
    admin = relay.client()
    created = await admin.call(endpoints.CREATE_TOKEN, TokenRequest(scope=Scope.VIEWER, label="x"))
    viewer = relay.client(created.token)
    await viewer.call(endpoints.LIST_HOSTS)
    listed = {token.name: token for token in await admin.call(endpoints.LIST_TOKENS)}
    assert listed[created.name].label == "x"
    assert created.token not in str(listed)
    await admin.call(endpoints.REVOKE_TOKEN, path={"name": created.name})
    with pytest.raises(ApiError) as refusal:
        await viewer.call(endpoints.LIST_HOSTS)
    assert refusal.value.code is Code.UNAUTHORIZED
    with pytest.raises(ApiError) as refusal:
        await admin.call(endpoints.REVOKE_TOKEN, path={"name": created.name})
    assert refusal.value.code is Code.NOT_FOUND


async def test_every_call_asks_for_its_scope(relay: RelayInProcess) -> None:
    tokens = {
        scope: await relay.token(scope, "h1" if scope in (Scope.ORCHESTRATOR, Scope.AGENT) else None)
        for scope in Scope
    }
    guarded = [endpoint for endpoint in ENDPOINTS if endpoint.scopes]
    assert len(guarded) > 20
    for endpoint in guarded:
        for scope in set(Scope) - endpoint.scopes:
            path = endpoint.url(id="h1", cid=1, sid="x", name="x")
            headers = {"Authorization": f"Bearer {tokens[scope]}"}
            answer = await ask(relay, endpoint.method, path, headers=headers)
            assert code(answer) == (403, Code.FORBIDDEN), endpoint.name
            assert answer.json()["error"]["details"]["needed"] == sorted(endpoint.scopes)


@pytest.mark.parametrize(
    "request_",
    [
        TokenRequest(scope=Scope.AGENT),
        TokenRequest(scope=Scope.ADMIN, id="x"),
        TokenRequest(expires_in_ms=0),
        TokenRequest(label="a\nb"),
    ],
)
async def test_a_token_that_makes_no_sense_is_refused(relay: RelayInProcess, request_: TokenRequest) -> None:
    with pytest.raises(ApiError) as refusal:
        await relay.client().call(endpoints.CREATE_TOKEN, request_)
    assert refusal.value.code is Code.INVALID


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Host": "evil.example"}, (421, Code.MISDIRECTED)),
        ({"Host": "10.1.2.3:80"}, (421, Code.MISDIRECTED)),
        ({"Host": "[::1"}, (421, Code.MISDIRECTED)),
        ({"Origin": "https://evil.example"}, (403, Code.FORBIDDEN)),
        ({"Origin": "null"}, (403, Code.FORBIDDEN)),
        ({"Muster-Protocol": "2"}, (426, Code.PROTOCOL_UNSUPPORTED)),
        ({"Muster-Protocol": "x"}, (426, Code.PROTOCOL_UNSUPPORTED)),
    ],
)
@pytest.mark.parametrize("path", ["/api/orchestrators", "/api/health"])
async def test_requests_from_elsewhere_are_turned_away(
    relay: RelayInProcess, headers: dict[str, str], expected: tuple[int, str], path: str
) -> None:
    assert code(await ask(relay, "GET", path, headers=headers)) == expected


async def test_pages_of_the_relay_itself_may_call_it(relay: RelayInProcess) -> None:
    assert (await ask(relay, "GET", "/api/orchestrators", headers={"Origin": relay.url})).status_code == 200
    host = {"Host": "localhost", "Origin": "http://localhost"}
    assert (await ask(relay, "GET", "/api/orchestrators", headers=host)).status_code == 200


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"{", (400, Code.MALFORMED)),
        (b"\xff", (400, Code.MALFORMED)),
        (b"[]", (422, Code.INVALID)),
        (b'{"argv": "true"}', (422, Code.INVALID)),
        (b'{"argv": ["true"], "mode": "floating"}', (422, Code.INVALID)),
        (b" " * (8 * 1024 * 1024 + 1), (413, Code.TOO_LARGE)),
    ],
)
async def test_a_bad_body_is_told_what_is_wrong(
    relay: RelayInProcess, content: bytes, expected: tuple[int, str]
) -> None:
    assert code(await ask(relay, "POST", "/api/spawns", content=content)) == expected


async def test_unknown_fields_of_a_newer_peer_are_ignored(relay: RelayInProcess) -> None:
    body = {"argv": ["true"], "colour": {"of": "future"}}
    assert (await ask(relay, "POST", "/api/spawns", json=body)).status_code == 202


async def test_a_body_without_a_length_is_limited_too(relay: RelayInProcess) -> None:
    async def endless() -> Any:
        for _ in range(64):
            yield b" " * 1024 * 1024

    try:
        response = await ask(relay, "POST", "/api/tokens", content=endless())
    except httpx.TransportError:
        return
    assert code(response) == (413, Code.TOO_LARGE)


@pytest.mark.parametrize(("method", "path"), [("GET", "/nope"), ("DELETE", "/api/spawns"), ("GET", "/")])
async def test_what_is_no_call_is_told_so_in_json(relay: RelayInProcess, method: str, path: str) -> None:
    response = await ask(relay, method, path)
    assert code(response) == (404, Code.NOT_FOUND)
    assert "/api/spec" in response.json()["error"]["message"]


async def test_bad_queries_are_refused(relay: RelayInProcess) -> None:
    for path in ("/api/managed-agents?limit=x", "/api/events?after=x", "/api/orchestrators/h/commands"):
        assert code(await ask(relay, "GET", path)) == (422, Code.INVALID)


async def test_the_specification_is_valid_and_open(relay: RelayInProcess) -> None:
    response = await ask(relay, "GET", "/api/spec", headers={"Authorization": ""})
    document = response.json()
    validate(document)
    served = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
    assert served == {(endpoint.path, endpoint.method) for endpoint in ENDPOINTS}


async def test_the_specification_says_what_passes_over_a_socket(relay: RelayInProcess) -> None:
    document = (await ask(relay, "GET", "/api/spec", headers={"Authorization": ""})).json()
    opened = document["paths"]["/api/managed-agents/{id}/attach"]["get"]["responses"]["101"]
    assert opened["headers"]["Upgrade"]["schema"] == {"const": "websocket"}
    notices = [item["$ref"].rpartition("/")[2] for item in opened["x-muster-messages"]["text"]["anyOf"]]
    assert notices == ["Attached", "Sized", "Ended", "Refused", "Resize"]
    assert document["components"]["schemas"]["Sized"]["properties"]["kind"] == {"enum": ["sized"]}


async def test_health_is_open_and_names_its_checks(relay: RelayInProcess) -> None:
    health = await relay.client(None).call(endpoints.HEALTH)
    assert (health.status, health.role) == ("ok", "relay")
    assert [check.name for check in health.checks] == ["store", "bus", "reaper", "clock"]
