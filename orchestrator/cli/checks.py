"""The checks of `muster doctor`. Each says what it found and, if that is not well, what to do."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator

from orchestrator.cli.target import Server, connect, daemon_answers, is_held
from orchestrator.config import Config, ConfigError
from orchestrator.limits import raise_file_limit
from orchestrator.relay_address import relay_url
from relay.wire.base import PROTOCOL
from relay.wire.client import Unreachable
from relay.wire.endpoints import HEALTH, LIST_AGENTS, LIST_HOSTS
from relay.wire.errors import ApiError, Code
from relay.wire.health import Health, HealthCheck
from relay.wire.home import Home
from relay.wire.orchestrators import Orchestrator
from relay.wire.queries import AgentListQuery

__all__ = ["linger", "run_checks"]

OK, WARN, FAIL = "ok", "warn", "fail"
SKEW_MS = 2_000
FREE_BYTES = 500 * 1024 * 1024
FILES = 4096
"""An agent takes about four descriptors of the daemon; this is room for a thousand."""
CALL_S = 10.0


def run_checks(home: Home) -> Iterator[HealthCheck]:
    """Yield every check that applies, the foundations first."""
    yield _state(home)
    yield _space(home)
    yield _files()
    yield _emulator()
    yield from linger()
    try:
        config = Config.load(home)
    except ConfigError as error:
        yield _check("config", FAIL, str(error))
        return
    yield _check("config", OK, home.config_file if os.path.exists(home.config_file) else "all defaults")
    yield from _terminal(config)
    yield _daemon(home)
    told = (yield from _inside_daemon()) if daemon_answers(home) else None
    yield from _relay(home, config, told)


def _check(name: str, status: str, detail: str) -> HealthCheck:
    return HealthCheck(name=name, status=status, detail=detail)


def _state(home: Home) -> HealthCheck:
    try:
        home.prepare()
        for folder in (home.state, home.sockets):
            with tempfile.NamedTemporaryFile(dir=folder, prefix="doctor-"):
                pass
    except OSError as error:
        return _check(
            "state",
            FAIL,
            f"cannot write to {error.filename or home.state}: {error.strerror}; "
            "make it yours (chown) or set MUSTER_HOME to another folder",
        )
    mode = os.stat(home.state).st_mode & 0o077
    if mode and hasattr(os, "getuid"):
        return _check("state", WARN, f"{home.state} is open to other users; chmod 700 {home.state}")
    return _check("state", OK, home.state)


def _space(home: Home) -> HealthCheck:
    try:
        free = shutil.disk_usage(
            home.state if os.path.exists(home.state) else os.path.dirname(home.state)
        ).free
    except OSError as error:
        return _check("disk", FAIL, f"cannot tell the free space: {error.strerror}")
    words = f"{free // 2**20} MiB free"
    if free < FREE_BYTES:
        return _check("disk", WARN, f"{words} for {home.state}; free some, or lower keep.spools_bytes")
    return _check("disk", OK, words)


def _files() -> HealthCheck:
    hard = raise_file_limit()[1]
    if hard < 0 or hard >= FILES:
        return _check("open files", OK, "not limited" if hard < 0 else f"up to {hard}")
    return _check(
        "open files",
        WARN,
        f"the hard limit is {hard}, enough for {hard // 4} agents; raise nofile in /etc/security/limits.conf",
    )


def _emulator() -> HealthCheck:
    from spawners.screen.engines import engine_name, engine_note

    note = engine_note()
    return _check("emulator", WARN if note else OK, note or f"terminals are emulated by {engine_name()}")


def linger() -> Iterator[HealthCheck]:
    """Without linger systemd ends what a user started when the last session is closed."""
    from spawners.scopes import Scopes

    booted = os.path.isdir("/run/systemd/system") and hasattr(os, "getuid") and os.getuid() != 0
    if not booted and Scopes.find(os.environ) is None:
        return
    import getpass

    user = getpass.getuser()
    if os.path.exists(f"/var/lib/systemd/linger/{user}"):
        yield _check("linger", OK, f"on for {user}")
    else:
        yield _check(
            "linger",
            WARN,
            f"off: when {user} logs out, systemd may end daemon and agents; loginctl enable-linger {user}",
        )


def _terminal(config: Config) -> Iterator[HealthCheck]:
    """A name that nothing here has would fail every window, also of those who ask for another terminal."""
    app = config.terminal.app
    if not app:
        return
    from spawners.terminals.catalog import terminals
    from spawners.terminals.choose import named
    from spawners.terminals.custom import custom, is_template

    try:
        known = custom(app) if is_template(app) else named(app, terminals(), os.environ.get("PATH", ""))
    except ValueError as error:
        yield _check("terminal.app", FAIL, str(error))
    else:
        yield _check("terminal.app", OK, known.name)


def _daemon(home: Home) -> HealthCheck:
    if daemon_answers(home):
        return _check("daemon", OK, f"answers on {home.daemon_socket}")
    if is_held(home.host_lock):
        record = home.read_record(home.host_record) or {}
        pid = record.get("pid", "unknown")
        return _check(
            "daemon",
            FAIL,
            f"runs (pid {pid}) but does not answer; its log is in {home.logs}; kill -9 is safe",
        )
    if os.path.exists(home.daemon_socket):
        return _check(
            "daemon", FAIL, "crashed, and left its socket behind; `muster up` starts it and finds its agents"
        )
    return _check("daemon", FAIL, "is not running; `muster up` starts it")


def _inside_daemon() -> Generator[HealthCheck, None, str | None]:
    """Yield the daemon's own checks; return the relay that it was told of."""
    try:
        with connect() as server:
            health = server.call(HEALTH, timeout_s=CALL_S)
            hosts = server.call(LIST_HOSTS, timeout_s=CALL_S)
    except (Unreachable, ApiError) as error:
        yield _check("daemon calls", FAIL, f"{error}; restart it: `muster down` and `muster up`")
        return None
    yield _version("daemon version", health)
    for check in health.checks:
        yield _check(f"daemon {check.name}", check.status, check.detail)
    for host in hosts:
        yield from _providers(host)
    return health.relay_url


def _providers(host: Orchestrator) -> Iterator[HealthCheck]:
    installed = [info for info in host.capabilities if info.installed and info.name != "command"]
    if not installed:
        yield _check(
            "providers",
            WARN,
            "no AI CLI is on your login shell's PATH; `muster providers` lists those known; or use -- ARGV",
        )
    for info in host.capabilities:
        own = shutil.which(info.name)
        if info.installed:
            detail = f"{info.version or 'unknown version'} at {info.path}"
            yield _check(
                info.name, WARN if info.note else OK, f"{detail}: {info.note}" if info.note else detail
            )
        elif own:
            yield _check(
                info.name,
                WARN,
                f"is at {own} in this shell, but not on your login shell's PATH, which agents get; "
                "set PATH in ~/.profile (or ~/.zprofile), then restart the daemon",
            )


def _version(name: str, health: Health) -> HealthCheck:
    from importlib.metadata import version

    ours = version("musterd")
    if health.protocol != PROTOCOL:
        return _check(
            name, FAIL, f"speaks protocol {health.protocol}, this command {PROTOCOL}; upgrade the older"
        )
    if health.version != ours:
        return _check(
            name, WARN, f"is {health.version}, this command {ours}; restart it: `muster down`, `muster up`"
        )
    return _check(name, OK, f"{ours}, protocol {PROTOCOL}")


def _relay(home: Home, config: Config, told: str | None) -> Iterator[HealthCheck]:
    """Yield what concerns the relay; `told` is the one that the daemon knows, maybe by its options alone."""
    url = relay_url(home, config)
    if url is None and told is not None:
        set_it = f"`muster config set relay.url {told}` (and relay.token)"
        yield _check("relay", WARN, f"{told} is known to the daemon, but not to commands: {set_it}")
        return
    if url is None:
        yield _check("relay", WARN, "none is known: only this host can be reached; `muster up` starts one")
        return
    try:
        with connect(relay=True) as server:
            health = server.call(HEALTH, timeout_s=CALL_S)
            yield _check("relay", OK, f"answers at {url}")
            yield _version("relay version", health)
            for check in health.checks:
                yield _check(f"relay {check.name}", check.status, check.detail)
            yield _token(server, home, config)
            yield from _clock(server, config)
    except Unreachable as error:
        yield _check("relay", FAIL, str(error))
    except ApiError as error:
        yield _check("relay", FAIL, f"{url}: {error}")


def _token(server: Server, home: Home, config: Config) -> HealthCheck:
    try:
        server.call(LIST_AGENTS, query=AgentListQuery(limit=1), timeout_s=CALL_S)
    except ApiError as error:
        if error.code not in (Code.UNAUTHORIZED, Code.FORBIDDEN):
            raise
        source = "relay.token or MUSTER_TOKEN" if config.relay.token else home.admin_token_file
        return _check(
            "token",
            FAIL,
            f"{error} (it came from {source}); `muster token create` at the relay makes a new one",
        )
    return _check("token", OK, "accepted")


def _clock(server: Server, config: Config) -> Iterator[HealthCheck]:
    with contextlib.suppress(ApiError):
        for host in server.call(LIST_HOSTS, timeout_s=CALL_S):
            skew = f"{host.clock_skew_ms} ms against the relay"
            if abs(host.clock_skew_ms) > SKEW_MS:
                yield _check(f"clock of {host.id}", WARN, f"{skew}; turn on NTP (timedatectl set-ntp true)")
            elif host.id == config.host_id:
                yield _check("clock", OK, skew)
