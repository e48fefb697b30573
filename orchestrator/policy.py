"""What this host allows, whoever asks: every refusal names its rule."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterable

from orchestrator.config import Policy
from orchestrator.trust import is_inside
from relay.wire.agents import SpawnRequest
from relay.wire.errors import ApiError, Code
from spawners.limits import Limits, size
from spawners.providers.environment import Names
from spawners.terminals.custom import is_template

__all__ = [
    "APPROVAL_MODES",
    "check_approval_mode",
    "check_keys",
    "check_request",
    "check_terminal",
    "confine",
    "cost_usd",
    "limits",
    "timeout_ms",
    "turns",
    "uncounted",
]

APPROVAL_MODES = ("read-only", "guarded", "open")
COMMAND = "command"
"""The provider that runs any argv."""
RESERVED_ENV = "MUSTER_"


def _refuse(rule: str, message: str) -> ApiError:
    return ApiError(
        Code.POLICY_REFUSED, f"refused by policy.{rule} of this host: {message}", rule=f"policy.{rule}"
    )


def check_request(
    policy: Policy, request: SpawnRequest, *, running: int, remote: bool, draining: bool
) -> None:
    """Raise `ApiError` `policy_refused` naming the first rule that `request` breaks."""
    if remote and policy.remote_spawns == "deny":
        raise _refuse("remote_spawns", "spawns from elsewhere are not taken")
    if draining:
        raise ApiError(Code.POLICY_REFUSED, "this host is draining; undrain it or use another", rule="drain")
    if not _matches(request.provider, policy.providers):
        allowed = ", ".join(policy.providers) or "none"
        raise _refuse("providers", f"{request.provider!r} is not allowed; allowed: {allowed}")
    check_approval_mode(policy, request.approval)
    check_terminal(policy, request.terminal, remote=remote)
    for name in request.env:
        if name.startswith(RESERVED_ENV):
            raise _refuse(
                "env_allow", f"{name} is reserved: names in {RESERVED_ENV}* are set by Muster itself"
            )
        if not _matches(name, policy.env_allow):
            allowed = ", ".join(policy.env_allow) or "none"
            raise _refuse("env_allow", f"{name} may not be set; allowed: {allowed}")
    if policy.max_agents and running >= policy.max_agents:
        raise _refuse("max_agents", f"{running} agents are running, {policy.max_agents} are allowed")


def check_terminal(policy: Policy, terminal: str | None, *, remote: bool) -> None:
    """Raise `ApiError` `policy_refused` for a terminal that is an argv, where no command may be run: it is
    executed on this host like any other, outside of all that holds an agent."""
    if terminal is None or not is_template(terminal):
        return
    if remote and policy.remote_spawns == "deny":
        raise _refuse("remote_spawns", "a terminal that is an argv is a spawn, and none is taken")
    if not _matches(COMMAND, policy.providers):
        raise _refuse("providers", f"a terminal that is an argv needs {COMMAND!r}; name one that is known")


def check_approval_mode(policy: Policy, mode: str) -> None:
    """Raise `ApiError`: `invalid` for a mode that there is not, `policy_refused` for one that is too high."""
    if mode not in APPROVAL_MODES:
        modes = ", ".join(APPROVAL_MODES)
        raise ApiError(Code.INVALID, f"approvalMode must be one of {modes}, not {mode!r}")
    if APPROVAL_MODES.index(mode) > APPROVAL_MODES.index(policy.approval_max):
        raise _refuse("approval_max", f"{mode!r} is above the highest allowed, {policy.approval_max!r}")


def check_keys(request: SpawnRequest, keys: Iterable[str], *, remote: bool) -> None:
    """Raise `ApiError` `policy_refused` if `request` came through the relay and sets one of `keys`.

    What travels is seen by the relay's owner, and waits in its database while this host is away.
    """
    known = Names(keys)
    carried = sorted(name for name in request.env if name in known)
    if remote and carried:
        raise ApiError(
            Code.POLICY_REFUSED,
            f"refused by policy of this host: {carried[0]} holds a key, and keys are not taken from "
            "elsewhere; leave it out, and write it into secrets.env (chmod 600) in this host's config folder",
            rule="keys",
        )


def timeout_ms(policy: Policy, asked_ms: int | None) -> int | None:
    """Return the time an agent may live. Raises `ApiError` if it asks for more than is allowed."""
    longest_ms = policy.timeout_max * 1000 or None
    if asked_ms is None or longest_ms is None:
        return asked_ms if asked_ms is not None else longest_ms
    if asked_ms > longest_ms:
        raise _refuse("timeout_max", f"{asked_ms / 1000:g} s is more than the {policy.timeout_max} s allowed")
    return asked_ms


def turns(policy: Policy, asked: int | None) -> int | None:
    """Return how often the model may answer. Raises `ApiError` if more is asked for than is allowed."""
    most = policy.turns_max or None
    if asked is not None and most is not None and asked > most:
        raise _refuse("turns_max", f"{asked} answers of the model are more than the {most} allowed")
    return most if asked is None else asked


def cost_usd(policy: Policy, asked: float | None) -> float | None:
    """Return what a run may cost. Raises `ApiError` if more is asked for than is allowed."""
    most = policy.cost_max or None
    if asked is not None and most is not None and asked > most:
        raise _refuse("cost_max", f"{asked:g} USD are more than the {most:g} allowed")
    return most if asked is None else asked


def uncounted(policy: Policy, *, turns: bool, cost: bool) -> None:
    """Raise `ApiError` if this host limits what cannot be counted (`turns`, `cost`) of an agent."""
    unable = "and it does not tell; use mode headless, and a provider that does"
    if turns and policy.turns_max:
        raise _refuse("turns_max", f"its answers have to be counted, {unable}")
    if cost and policy.cost_max:
        raise _refuse("cost_max", f"its cost has to be counted, {unable}")


def limits(policy: Policy, request: SpawnRequest) -> Limits:
    """Return what the agent's tree may use at most.

    Raises `ApiError`: `policy_refused` if it asks for more than is allowed, `invalid` for a limit that
    nobody could hold it to on this system.
    """
    memory = request.memory_bytes
    if policy.memory_max and memory is not None and memory > policy.memory_max:
        allowed = size(policy.memory_max)
        raise _refuse("memory_max", f"{size(memory)} of memory is more than the {allowed} allowed")
    cpus = request.cpus
    if policy.cpus_max and cpus is not None and cpus > policy.cpus_max:
        raise _refuse("cpus_max", f"{cpus:g} CPUs are more than the {policy.cpus_max:g} allowed")
    found = Limits(
        policy.memory_max or None if memory is None else memory,
        policy.cpus_max or None if cpus is None else cpus,
    )
    if not found.problem:
        return found
    if cpus is None and found.cpus is not None:
        raise _refuse("cpus_max", f"{found.problem}; set it to 0")
    if memory is None and found.memory_bytes is not None:
        raise _refuse("memory_max", found.problem)
    raise ApiError(Code.INVALID, found.problem)


def confine(policy: Policy, cwd: str | None, default: str) -> str:
    """Return the real path of the folder to start in, symlinks resolved.

    A relative `cwd` counts from `default`. Raises `ApiError`: `cwd_invalid` if it is no folder that
    can be entered, `policy_refused` if it lies outside `base_dirs`.
    """
    try:
        path = os.path.realpath(os.path.join(default, os.path.expanduser(cwd or "")))
        mode = os.stat(path).st_mode
    except OSError as error:
        raise ApiError(
            Code.CWD_INVALID, f"cannot start in {cwd or default}: {error.strerror}; create it or give another"
        ) from None
    except ValueError:
        raise ApiError(Code.CWD_INVALID, "a cwd cannot hold a NUL character") from None
    if not stat.S_ISDIR(mode):
        raise ApiError(Code.CWD_INVALID, f"cannot start in {path}: it is not a folder")
    if not os.access(path, os.X_OK):
        raise ApiError(Code.CWD_INVALID, f"cannot start in {path}: permission denied")
    if "*" not in policy.base_dirs and not any(_inside(path, base) for base in policy.base_dirs):
        allowed = ", ".join(policy.base_dirs) or "none"
        raise _refuse("base_dirs", f"{path} is outside the folders allowed: {allowed}")
    return path


def _inside(path: str, base: str) -> bool:
    return is_inside(path, os.path.realpath(os.path.expanduser(base)))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
