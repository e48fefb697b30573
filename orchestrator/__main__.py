"""`python -m orchestrator`: the daemon of this host."""

from __future__ import annotations

from relay.wire import lean  # noqa: F401

# isort: split
import argparse
import asyncio
import gc
import sys

import msgspec

from orchestrator.config import Config, ConfigError
from orchestrator.daemon.app import AlreadyRunning, Options, run
from orchestrator.limits import raise_file_limit
from orchestrator.logs import configure
from orchestrator.store.database import DatabaseUnusable
from relay.wire.home import Home
from spawners._os import start_again

__all__ = ["main"]


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options; prints usage and exits with 2 if they are wrong."""
    parser = argparse.ArgumentParser(
        prog="muster orchestrator", description="Run the daemon of this host in the foreground."
    )
    parser.add_argument("--relay", metavar="URL", help="the relay to register with")
    parser.add_argument("--token", help="the token for it (better: MUSTER_TOKEN or the config file)")
    parser.add_argument("--id", help="this host's stable id; default: its host name")
    parser.add_argument("--take-over", action="store_true", help="replace another live host of this id")
    parser.add_argument(
        "--label", action="append", default=[], metavar="NAME=VALUE", help="a label to place by"
    )
    parser.add_argument("--log-format", choices=["console", "json"])
    return parser.parse_args(arguments)


def configuration(options: argparse.Namespace, home: Home) -> Config:
    """Return the configuration with the command line's options over it. Raises `ConfigError`."""
    config = Config.load(home)
    replace = msgspec.structs.replace
    if options.relay or options.token:
        relay = replace(
            config.relay, url=options.relay or config.relay.url, token=options.token or config.relay.token
        )
        config = replace(config, relay=relay)
    labels = dict(config.host.labels)
    for pair in options.label:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConfigError(f"--label takes NAME=VALUE, not {pair!r}")
        labels[name] = value
    config = replace(config, host=replace(config.host, id=options.id or config.host.id, labels=labels))
    if options.log_format:
        config = replace(config, log=replace(config.log, format=options.log_format))
    return config


def main(arguments: list[str] | None = None) -> int:
    """Run until told to end. Exit codes: 0 ended as asked, 1 could not run, 2 wrong usage or config."""
    given = sys.argv[1:] if arguments is None else arguments
    options = parse(given)
    gc.freeze()  # what is imported stays: to look through it again and again, and at the end, takes 0.1 s
    gc.enable()
    home = Home.from_environment()
    try:
        config = configuration(options, home)
        home.prepare()
        configure(config.log, home.logs, "orchestrator")
        soft, _ = raise_file_limit()
        again = asyncio.run(run(Options(home, config, options.take_over, soft)))
    except ConfigError as error:
        print(f"muster: {error}", file=sys.stderr)
        return 2
    except (AlreadyRunning, DatabaseUnusable) as error:
        print(f"muster: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"muster: cannot use {home.state}: {error}; set MUSTER_HOME to a folder of yours", file=sys.stderr
        )
        return 1
    if again:
        start_again([sys.executable, "-m", "orchestrator", *given])
    return 0


if __name__ == "__main__":
    sys.exit(main())
