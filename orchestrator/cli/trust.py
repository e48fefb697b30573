"""`muster trust`: folders in which CLIs need not ask whether to trust them."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.output import print_json
from orchestrator.cli.parameters import JsonOpt
from orchestrator.config import Config
from orchestrator.trust import Trust
from relay.wire.home import Home

__all__ = ["command"]


def command(
    folder: Annotated[
        str | None, typer.Argument(metavar="DIR", help="A folder of this host; with all below it.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the folders that are trusted.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Trust DIR no longer.")] = False,
    json: JsonOpt = False,
) -> None:
    """Trust a folder: agents in it are started without their CLI's question, and its own settings count.

    It counts for what is spawned from now on. A CLI that was told once may remember it in its own files.
    """
    home = Home.from_environment()
    config = Config.load(home)
    trust = Trust(home, config.policy.trust)
    if folder is None or list_:
        if folder is not None or remove or not (list_ or json):
            raise CliError("give a DIR to trust, or --list, or --remove DIR", Exit.USAGE)
        return _list(trust, config, json)
    if "MUSTER_AGENT_ID" in os.environ:
        raise CliError("an agent cannot give trust; its owner does, in a terminal of this host", Exit.REFUSED)
    if remove:
        found = trust.remove(folder)
        if found is None:
            raise CliError(f"{folder} is not on the list; `muster trust --list` shows it", Exit.NOT_FOUND)
        print(f"no longer trusted: {found} (a CLI that was told before keeps it in its own settings)")
        return None
    try:
        print(f"trusted: {trust.add(folder)}")
    except NotADirectoryError as error:
        raise CliError(f"{error.filename} is no folder; create it first", Exit.USAGE) from None
    return None


def _list(trust: Trust, config: Config, json: bool) -> None:
    folders = [*trust.folders(), *config.policy.trust]
    if json:
        print_json(folders)
    elif folders:
        print("\n".join(folders))
    else:
        print("no folder is trusted; `muster trust DIR` trusts one")
