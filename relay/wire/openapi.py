"""The endpoint table as an OpenAPI 3.1 document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from relay.wire.endpoints import ENDPOINTS, Body, Endpoint
from relay.wire.errors import ErrorBody
from relay.wire.output import MEDIA_TYPE
from relay.wire.terminal import Attached, Ended, Refused, Resize, Sized

__all__ = ["document"]

MESSAGES = "x-muster-messages"
"""OpenAPI has no words for what passes once a socket is open."""

SOCKET_NOTICES = (Attached, Sized, Ended, Refused, Resize)

_REF = "#/components/schemas/{name}"


def document(version: str, endpoints: Iterable[Endpoint[Any]] = ENDPOINTS) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of `endpoints` for program version `version`."""
    table = list(endpoints)
    types: list[Any] = [ErrorBody]
    for endpoint in table:
        types += [kind for kind in (endpoint.request, endpoint.query) if kind is not None]
        if endpoint.body is Body.SOCKET:
            types += [kind for kind in SOCKET_NOTICES if kind not in types]
        elif endpoint.response not in (bytes, type(None)):
            types.append(endpoint.response)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    found = {str(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in table:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, found, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Muster", "version": version, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint[Any], found: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "parameters": _parameters(endpoint, components),
        "responses": {
            str(endpoint.status): _success(endpoint, found),
            "default": {
                "description": "What is wrong and what to do about it",
                "content": {"application/json": {"schema": found[str(ErrorBody)]}},
            },
        },
        "security": [{"token": []}] if endpoint.scopes else [],
    }
    if endpoint.scopes:
        operation["x-muster-scopes"] = sorted(endpoint.scopes)
    if endpoint.request is not None:
        content = {"application/json": {"schema": found[str(endpoint.request)]}}
        operation["requestBody"] = {"required": True, "content": content}
    elif endpoint.upload:
        operation["requestBody"] = {"required": True, "content": {MEDIA_TYPE: {}}}
    return operation


def _success(endpoint: Endpoint[Any], found: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": endpoint.summary}
    if endpoint.body is Body.SOCKET:
        answer["headers"] = {"Upgrade": {"required": True, "schema": {"const": "websocket"}}}
        answer[MESSAGES] = {
            "binary": "Bytes: for the viewer's terminal, or keys for the agent's",
            "text": {"anyOf": [found[str(kind)] for kind in SOCKET_NOTICES]},
        }
    elif endpoint.body is Body.BYTES:
        answer["content"] = {Body.BYTES.value: {}, MEDIA_TYPE: {}}
    elif endpoint.status != 204:
        answer["content"] = {endpoint.body.value: {"schema": found[str(endpoint.response)]}}
    return answer


def _parameters(endpoint: Endpoint[Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", endpoint.path)
    ]
    if endpoint.query is not None:
        schema = components[endpoint.query.__name__]
        required = schema.get("required", [])
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": field}
            for name, field in schema["properties"].items()
        ]
    if endpoint.body is Body.EVENTS:
        header = {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "integer"}}
        parameters.append(header)
    return parameters
