"""The checks of `muster doctor --provider`: what a turn needs, then one small turn, through the daemon."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator

from orchestrator.cli.follow import await_status
from orchestrator.cli.providers import version_words
from orchestrator.cli.target import Server
from orchestrator.cli.words import because
from relay.wire.agents import ManagedAgent, Mode, SpawnRequest, Status
from relay.wire.endpoints import FORGET_AGENT, LIST_HOSTS, SPAWN
from relay.wire.errors import ApiError
from relay.wire.health import HealthCheck
from relay.wire.orchestrators import ProviderInfo

__all__ = ["check_provider"]

OK, WARN, FAIL = "ok", "warn", "fail"
PROMPT = "Reply with OK and nothing else."
SPARE_S = 20.0
"""For the agent's end after its own time is over."""

ADVICE = (
    (r"trust", "trust the folder: `muster trust DIR`"),
    (
        r"log(ged)?.?in|api.?key|unauthori[sz]ed|authenticat|\b401\b|\b403\b|credential",
        "log in with its own command in a terminal of this host, or write {keys} into {secrets}",
    ),
    (
        r"\b429\b|rate.?limit|quota|overloaded|credit|billing",
        "its account has no room left: wait, or use another",
    ),
    (
        r"model.{0,40}(not found|not exist|unknown|invalid|not supported)|\b404\b",
        "choose another with --model",
    ),
    (
        r"ECONN|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|getaddrinfo|fetch failed|connect|network|certificate|socket",
        "its server cannot be reached: look at the network, the proxy (https_proxy) and its base URL",
    ),
)
"""What a failure's words mean, the most telling first."""


def check_provider(server: Server, name: str, timeout_s: float, model: str | None) -> Iterator[HealthCheck]:
    """Yield what is found of the provider `name` at this host; it is asked to do nothing but answer."""
    capabilities = server.call(LIST_HOSTS)[0].capabilities
    info = next((each for each in capabilities if each.name == name), None)
    if info is None:
        known = ", ".join(each.name for each in capabilities)
        yield _check(
            "adapter",
            FAIL,
            f"there is no provider {name!r}; known are: {known}; `muster doctor` says what is left out",
        )
        return
    yield _check("adapter", OK, info.source)
    if not info.installed:
        yield _check("installed", FAIL, f"{info.note}; install it so that a new terminal finds it")
        return
    yield _check("installed", OK, info.path or "")
    yield _version(info)
    yield _key(info)
    if Mode.HEADLESS not in info.modes:
        yield _check(
            "turn", WARN, "not tried: it has no headless mode; `muster spawn --mode embedded` starts it"
        )
        return
    yield _turn(server, info, timeout_s, model)


def _check(name: str, status: str, detail: str) -> HealthCheck:
    return HealthCheck(name=name, status=status, detail=detail)


def _version(info: ProviderInfo) -> HealthCheck:
    if info.note:
        return _check("version", WARN, info.note)
    if info.version is None:
        return _check("version", WARN, "not known yet: the daemon is still asking; try again in a minute")
    if info.proven not in (None, info.version):
        return _check("version", WARN, f"{version_words(info)}; its adapter was proven with {info.proven}")
    return _check("version", OK, info.version)


def _key(info: ProviderInfo) -> HealthCheck:
    if info.keys:
        return _check("key", OK, f"the host has {', '.join(info.keys)}")
    if not info.secrets:
        return _check("key", OK, "its adapter names none")
    return _check(
        "key",
        WARN,
        f"none of {', '.join(info.secrets)} is on this host; that is well if it is logged in itself",
    )


def _turn(server: Server, info: ProviderInfo, timeout_s: float, model: str | None) -> HealthCheck:
    folder = tempfile.mkdtemp(prefix="muster-doctor-") if server.config.policy.base_dirs == ["*"] else None
    mode = "read-only" if "read-only" in info.approval_modes else info.approval_modes[0]
    request = SpawnRequest(
        provider=info.name,
        prompt=PROMPT,
        cwd=folder,
        model=model,
        approval_mode=mode,
        ask=False,
        timeout_ms=round(timeout_s * 1000),
        tags=["doctor"],
    )
    began = time.monotonic()
    try:
        agent = server.call(SPAWN, request).agent
        ended = await_status(server, agent.id, "ended", time.monotonic() + timeout_s + SPARE_S)
    except ApiError as error:
        return _check("turn", FAIL, f"the daemon does not start it: {error}")
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    if ended is None:
        return _check("turn", FAIL, f"it does not end; `muster kill {agent.id}` ends it")
    if ended.status is Status.SUCCEEDED:
        with contextlib.suppress(ApiError):
            server.call(FORGET_AGENT, path={"id": ended.id})
        said = (ended.result or "nothing that could be read").strip()[:80]
        took = time.monotonic() - began
        return _check(
            "turn", OK, f"answered {said!r} in {took:.1f} s ({ended.model or 'its default model'}, {mode})"
        )
    return _check("turn", FAIL, f"{_why(ended, server, info, timeout_s)}; `muster logs {ended.id}` shows all")


def _why(agent: ManagedAgent, server: Server, info: ProviderInfo, timeout_s: float) -> str:
    cause = agent.cause
    tail = (cause.output_tail or "") if cause else ""
    said = agent.error or agent.attention or (because(cause) if cause else str(agent.status))
    if agent.status is Status.TIMEOUT:
        said = f"no answer within {timeout_s:g} s" + (f" ({agent.error})" if agent.error else "")
    last = next((line.strip() for line in reversed(tail.splitlines()) if line.strip()), "")
    if last and last not in said and not last.startswith("{"):
        said = f"{said} ({last[:200]})"
    evidence = f"{said}\n{tail}"
    for pattern, advice in ADVICE:
        if re.search(pattern, evidence, re.IGNORECASE):
            keys = " or ".join(info.secrets) or "its key"
            return f"{said}: {advice.format(keys=keys, secrets=os.path.basename(server.home.secrets_file))}"
    return said
