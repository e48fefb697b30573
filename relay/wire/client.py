"""Calls through the endpoint table, blocking and asynchronous."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from relay.wire.base import PROTOCOL, PROTOCOL_HEADER, decode, encode, protocol_mismatch
from relay.wire.endpoints import Endpoint
from relay.wire.errors import ApiError, Code, ErrorBody

__all__ = ["AsyncClient", "Client", "Unreachable", "check_answer", "query_values", "request_headers"]

Res = TypeVar("Res")
Parameters = Mapping[str, str | int]

LOCAL_URL = "http://localhost"
CONNECT_TIMEOUT_S = 5.0


class Unreachable(Exception):
    """Nobody answered, or the connection broke before the answer was whole: the call may have happened."""


def request_headers(token: str | None) -> dict[str, str]:
    """Return what every request carries."""
    headers = {PROTOCOL_HEADER: str(PROTOCOL), "User-Agent": "muster"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return headers


def query_values(query: Any) -> dict[str, Any]:
    """Return the query string of a struct as its names and values; what is None is left out."""
    values = msgspec.to_builtins(query) if query is not None else {}
    return {
        key: (str(value).lower() if isinstance(value, bool) else value)
        for key, value in values.items()
        if value is not None
    }


def _request(
    endpoint: Endpoint[Any], body: Any, path: Parameters | None, query: Any
) -> tuple[str, str, dict[str, Any]]:
    options: dict[str, Any] = {}
    if body is not None:
        options["content"] = encode(body)
        options["headers"] = {"Content-Type": "application/json"}
    if query is not None:
        options["params"] = query_values(query)
    return endpoint.method, endpoint.url(**(path or {})), options


def check_answer(url: str, status: int, protocol: str | None, content: bytes) -> None:
    """Raise the `ApiError` that a server answered with, and `Unreachable` for a proxy's answer.

    `protocol` is the protocol header of the response. A success is left alone.
    """
    reason = protocol_mismatch(protocol, we_are="client", they_are="server")
    if reason:
        raise ApiError(Code.PROTOCOL_UNSUPPORTED, reason)
    if 200 <= status < 300:
        return
    try:
        error = ApiError.from_body(decode(content, ErrorBody))
    except msgspec.DecodeError:
        text = content[:200].decode("utf-8", "replace")
        if status >= 500:  # a proxy's, or a server's that was ended in the middle of this call
            raise Unreachable(f"{url} answered {status}: {text}") from None
        raise ApiError(Code.INTERNAL, f"{url} answered {status} and is no Muster server: {text}") from None
    raise error


def _check(response: httpx.Response, content: bytes) -> None:
    check_answer(str(response.url), response.status_code, response.headers.get(PROTOCOL_HEADER), content)


def _result(endpoint: Endpoint[Res], response: httpx.Response) -> Res:
    content = response.content
    _check(response, content)
    if endpoint.status == 204 or endpoint.response is bytes:
        return content  # type: ignore[return-value]
    try:
        return decode(content, endpoint.response)
    except msgspec.DecodeError as error:
        raise ApiError(Code.INTERNAL, f"{response.url} answered something else: {error}") from None


def _unreachable(target: str, error: Exception) -> Unreachable:
    return Unreachable(f"cannot reach {target}: {str(error) or type(error).__name__}")


def _trusted(url: str | None, verify: ssl.SSLContext | bool) -> ssl.SSLContext | bool:
    """Return `verify` where there is TLS; else what trusts nobody: to read the public authorities takes
    20 ms, longer than a call to this machine."""
    return verify if urlsplit(url or LOCAL_URL).scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Client:
    """Blocking calls, for the command line. `socket` is a unix socket's path, else `url` is used.

    Every call raises `ApiError` for a refusal and `Unreachable` when there was no whole answer.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        socket: str | None = None,
        token: str | None = None,
        timeout_s: float = 60.0,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self.target = socket or url or LOCAL_URL
        transport = httpx.HTTPTransport(uds=socket, verify=_trusted(url, verify), trust_env=False)
        self._http = httpx.Client(
            base_url=url or LOCAL_URL,
            transport=transport,
            headers=request_headers(token),
            trust_env=False,
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
        )

    def call(
        self,
        endpoint: Endpoint[Res],
        body: Any = None,
        *,
        path: Parameters | None = None,
        query: Any = None,
        timeout_s: float | None = None,
    ) -> Res:
        method, url, options = _request(endpoint, body, path, query)
        if timeout_s is not None:
            options["timeout"] = httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        try:
            response = self._http.request(method, url, **options)
        except httpx.HTTPError as error:
            raise _unreachable(self.target, error) from error
        return _result(endpoint, response)

    @contextmanager
    def stream(
        self,
        endpoint: Endpoint[Any],
        *,
        path: Parameters | None = None,
        query: Any = None,
        accept: str | None = None,
        read_timeout_s: float | None = None,
    ) -> Iterator[httpx.Response]:
        """Open a response to read in pieces. Errors while reading are `Unreachable` too."""
        method, url, options = _request(endpoint, None, path, query)
        if accept:
            options["headers"] = {"Accept": accept}
        try:
            timeout = httpx.Timeout(read_timeout_s, connect=CONNECT_TIMEOUT_S)
            with self._http.stream(method, url, timeout=timeout, **options) as response:
                if not response.is_success:
                    response.read()
                _check(response, response.content if not response.is_success else b"")
                yield response
        except httpx.HTTPError as error:
            raise _unreachable(self.target, error) from error

    def close(self) -> None:
        self._http.close()


class AsyncClient:
    """The same calls for a daemon's loops."""

    def __init__(
        self,
        url: str | None = None,
        *,
        socket: str | None = None,
        token: str | None = None,
        timeout_s: float = 30.0,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self.target = socket or url or LOCAL_URL
        self.token = token
        self.verify = verify
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        transport = httpx.AsyncHTTPTransport(
            uds=socket, verify=_trusted(url, verify), limits=limits, trust_env=False
        )
        self._http = httpx.AsyncClient(
            base_url=url or LOCAL_URL,
            transport=transport,
            headers=request_headers(token),
            trust_env=False,
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
        )

    async def call(
        self,
        endpoint: Endpoint[Res],
        body: Any = None,
        *,
        path: Parameters | None = None,
        query: Any = None,
        timeout_s: float | None = None,
    ) -> Res:
        method, url, options = _request(endpoint, body, path, query)
        if timeout_s is not None:
            options["timeout"] = httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        try:
            response = await self._http.request(method, url, **options)
        except httpx.HTTPError as error:
            raise _unreachable(self.target, error) from error
        return _result(endpoint, response)

    @asynccontextmanager
    async def stream(
        self,
        endpoint: Endpoint[Any],
        *,
        path: Parameters | None = None,
        query: Any = None,
        accept: str | None = None,
        last_event_id: int | None = None,
        read_timeout_s: float | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Open a response to read in pieces. Errors while reading are `Unreachable` too."""
        method, url, options = _request(endpoint, None, path, query)
        headers = {"Accept": accept} if accept else {}
        if last_event_id is not None:
            headers["Last-Event-ID"] = str(last_event_id)
        try:
            timeout = httpx.Timeout(read_timeout_s, connect=CONNECT_TIMEOUT_S)
            async with self._http.stream(
                method, url, timeout=timeout, headers=headers, **options
            ) as response:
                content = b"" if response.is_success else await response.aread()
                _check(response, content)
                yield response
        except httpx.HTTPError as error:
            raise _unreachable(self.target, error) from error

    async def upload(
        self, endpoint: Endpoint[Any], content: AsyncIterator[bytes], *, path: Parameters, media_type: str
    ) -> None:
        """Send a body of unknown length in pieces."""
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        try:
            response = await self._http.request(
                endpoint.method,
                endpoint.url(**path),
                content=content,
                headers={"Content-Type": media_type},
                timeout=timeout,
            )
        except httpx.HTTPError as error:
            raise _unreachable(self.target, error) from error
        _result(endpoint, response)

    async def close(self) -> None:
        await self._http.aclose()
