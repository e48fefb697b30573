"""`python -m relay`: one relay as a process."""

from __future__ import annotations

from relay.wire import lean  # noqa: F401

# isort: split
import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import filelock
import structlog
import uvicorn

from relay.api.guard import is_loopback
from relay.app import AdminFile, Relay, version
from relay.config import DAY_MS, RelayConfig
from relay.core.ports import StorageUnavailable
from relay.files import raise_file_limit
from relay.logs import FORMATS, configure
from relay.store.engine import SqlStore, database_url
from relay.store.schema import prepare
from relay.wire.duplex import tune
from relay.wire.ending import when_asked_to_end
from relay.wire.home import Home
from relay.wire.private import remove_file
from relay.wire.server import Server
from relay.wire.serving import SOCKET_OPTIONS

DEFAULT_BIND = "127.0.0.1:4850"
GRACE_S = 1
"""For requests that are being answered when the relay is told to stop; streams end by themselves."""
KEEP_ALIVE_S = 75
"""Longer than clients keep idle connections (httpx: 5 s), so that it is never the relay who hangs up on
a request that is just being sent."""
BACKLOG = 2048

log = structlog.get_logger("relay")


class CannotStart(Exception):
    """Why the relay does not start, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return Address(host.strip("[]") or "0.0.0.0", int(port))


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="muster relay", description="The central server of Muster.")
    parser.add_argument(
        "--bind",
        type=_address,
        default=_address(DEFAULT_BIND),
        metavar="HOST:PORT",
        help=f"where to listen; port 0 takes a free one (default {DEFAULT_BIND})",
    )
    parser.add_argument(
        "--database", metavar="URL", help="postgresql://… or sqlite:///PATH (default: in MUSTER_HOME)"
    )
    parser.add_argument(
        "--bus", choices=["memory"], default="memory", help="how several relays wake each other"
    )
    parser.add_argument("--home", metavar="DIR", help="instead of MUSTER_HOME")
    parser.add_argument("--insecure", action="store_true", help="listen beyond this machine without TLS")
    parser.add_argument("--tls-cert", metavar="FILE")
    parser.add_argument("--tls-key", metavar="FILE")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name by which this relay is reached; may be repeated",
    )
    parser.add_argument(
        "--keep-days", type=float, default=7.0, metavar="N", help="keep ended agents (default 7)"
    )
    parser.add_argument(
        "--heartbeat-ms",
        type=int,
        default=RelayConfig().heartbeat_ms,
        metavar="N",
        help="how often hosts report (default 15000)",
    )
    parser.add_argument("--log-format", choices=FORMATS, default="json")
    parser.add_argument("--log-file", metavar="FILE")
    parser.add_argument("--version", action="version", version=version())
    options = parser.parse_args(argv)
    if bool(options.tls_cert) != bool(options.tls_key):
        parser.error("--tls-cert and --tls-key belong together")
    if options.keep_days < 0 or options.heartbeat_ms <= 0:
        parser.error("--keep-days and --heartbeat-ms must not be negative")
    return options


def main(argv: list[str] | None = None) -> int:
    """Run a relay until SIGTERM or SIGINT; return the exit code."""
    options = _arguments(argv)
    gc.freeze()  # what is imported stays: to look through it again and again, and at the end, takes 0.1 s
    gc.enable()
    os.umask(0o077)  # prompts and variables pass through the database: its folder may be open to others
    if options.home:
        os.environ["MUSTER_HOME"] = options.home
    home = Home.from_environment()
    try:
        _check_exposure(options)
        _prepare(home)
        with _only_one(home), _listening(options.bind) as listener:
            configure(options.log_file or os.path.join(home.logs, "relay.log"), options.log_format)
            raise_file_limit()
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(_serve(options, home, listener))
    except (CannotStart, StorageUnavailable) as error:
        print(f"muster relay: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"muster relay: {error}; choose another MUSTER_HOME or make room", file=sys.stderr)
        return 1
    return 0


def _check_exposure(options: argparse.Namespace) -> None:
    if options.tls_cert:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(options.tls_cert, options.tls_key)
        except OSError as error:
            raise CannotStart(f"cannot use {options.tls_cert} with {options.tls_key}: {error}") from None
    if is_loopback(options.bind.host) or options.insecure or options.tls_cert:
        return
    raise CannotStart(
        f"{options.bind.host} can be reached from other machines, and without TLS everybody on the way reads "
        "the tokens: give --tls-cert and --tls-key, or --insecure if the network itself is trusted (a VPN)"
    )


def _prepare(home: Home) -> None:
    try:
        home.prepare()
        os.makedirs(home.logs, mode=0o700, exist_ok=True)
    except OSError as error:
        raise CannotStart(
            f"cannot use {home.state}: {error}; set MUSTER_HOME to a writable directory"
        ) from None


@contextlib.contextmanager
def _only_one(home: Home) -> Iterator[None]:
    lock = filelock.FileLock(home.relay_lock)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        record = home.read_record(home.relay_record) or {}
        who = f"pid {record['pid']}, {record['url']}" if "pid" in record and "url" in record else "starting"
        raise CannotStart(f"a relay already runs from {home.state} ({who})") from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _listening(address: Address) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where this option lets two share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tune(listener)
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotStart(
            f"cannot listen on {address.host}:{address.port}: {error.strerror or error}; "
            "give another --bind, or port 0 for a free one"
        ) from None
    try:
        yield listener
    finally:
        listener.close()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - not on Windows
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(options: argparse.Namespace, home: Home, listener: socket.socket) -> None:
    try:
        store = SqlStore(database_url(options.database or home.relay_database))
    except ValueError as error:
        raise CannotStart(str(error)) from None
    except ModuleNotFoundError as error:
        raise CannotStart(
            f"PostgreSQL needs {error.name}, which is not installed: pip install 'musterd[postgres]'"
        ) from None
    config = replace(
        RelayConfig(), keep_ms=int(options.keep_days * DAY_MS), heartbeat_ms=options.heartbeat_ms
    )
    relay = Relay(config, store, bound=options.bind.host, allowed=options.allow_host)
    try:
        await prepare(store)
        admin = AdminFile(
            home.admin_token(), lambda text: home.write_private(home.admin_token_file, text + "\n")
        )
        await relay.start(admin)
        server = Server(
            uvicorn.Config(
                relay.asgi,
                http="httptools",
                loop="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=GRACE_S,
                timeout_keep_alive=KEEP_ALIVE_S,
                ssl_certfile=options.tls_cert,
                ssl_keyfile=options.tls_key,
                **SOCKET_OPTIONS,
            )
        )
        _stop_on_signals(server, relay)
        url = _url(options, listener)
        home.write_private(home.relay_record, json.dumps({"url": url, "pid": os.getpid()}))
        try:
            print(f"muster relay listening on {url}", flush=True)
            log.info("listening", url=url, pid=os.getpid(), version=version())
            await server.serve(sockets=[listener])
        finally:
            with contextlib.suppress(FileNotFoundError):
                remove_file(home.relay_record)
        log.info("stopped")
    finally:
        await relay.stop()


def _stop_on_signals(server: Server, relay: Relay) -> None:
    def stop() -> None:
        server.end()
        relay.begin_stop()

    loop = asyncio.get_running_loop()
    when_asked_to_end(lambda: loop.call_soon_threadsafe(stop))
    for number in (signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGBREAK", signal.SIGINT)):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:
            _stop_on_plain_signal(number, loop, stop)


def _stop_on_plain_signal(number: int, loop: asyncio.AbstractEventLoop, stop: Callable[[], object]) -> None:
    signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(stop) and None)


def _url(options: argparse.Namespace, listener: socket.socket) -> str:
    """Return where this machine's own programs reach the relay."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    scheme = "https" if options.tls_cert else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


if __name__ == "__main__":
    sys.exit(main())
