"""`muster token`: who may talk to the relay."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.output import Column, print_json, table
from orchestrator.cli.parameters import JsonOpt
from orchestrator.cli.target import connect
from orchestrator.cli.words import age, clock, parse_duration
from relay.wire.base import now_ms
from relay.wire.endpoints import CREATE_TOKEN, LIST_TOKENS, REVOKE_TOKEN
from relay.wire.health import Scope, TokenRequest

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Make, list and revoke the relay's tokens."
)


@app.command()
def create(
    scope: Annotated[Scope, typer.Option(help="What it may do.")] = Scope.OPERATOR,
    bound_to: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="The host or agent it is for (orchestrator, agent)."),
    ] = None,
    label: Annotated[str | None, typer.Option(help="What it is for, in your words.")] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="S", help="How long it lasts (90, 12h, 30d).")
    ] = None,
    json: JsonOpt = False,
) -> None:
    """Make a token and print it. It is never shown again."""
    try:
        lasts = None if expires is None else round(parse_duration(expires) * 1000)
    except ValueError:
        raise typer.BadParameter(f"{expires!r} is no length of time", param_hint="--expires") from None
    if scope in (Scope.ORCHESTRATOR, Scope.AGENT) and bound_to is None:
        raise typer.BadParameter(f"a token of scope {scope} is for one {scope}: name it with --id")
    request = TokenRequest(scope=scope, id=bound_to, label=label, expires_in_ms=lasts)
    with connect(relay=True) as server:
        created = server.call(CREATE_TOKEN, request)
    if json:
        print_json(created)
    else:
        print(created.token)


@app.command("list")
def list_tokens(json: JsonOpt = False) -> None:
    """List the tokens by name; the tokens themselves are not kept anywhere."""
    with connect(relay=True) as server:
        tokens = server.call(LIST_TOKENS)
    if json:
        print_json(tokens)
        return
    now = now_ms()
    columns = [Column("NAME"), Column("SCOPE"), Column("FOR", whole=False), Column("USED", right=True)]
    columns += [Column("EXPIRES"), Column("LABEL", whole=False)]
    rows = [
        [
            token.name,
            str(token.scope),
            token.id or "",
            age(token.last_used_at, now) if token.last_used_at else "never",
            clock(token.expires_at)[:16] if token.expires_at else "never",
            token.label or "",
        ]
        for token in tokens
    ]
    table(columns, rows)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Its name, as `muster token list` shows it.")],
    json: JsonOpt = False,
) -> None:
    """Make a token worthless at once."""
    with connect(relay=True) as server:
        token = server.call(REVOKE_TOKEN, path={"name": name})
    if json:
        print_json(token)
    else:
        print(f"revoked {token.name}")
