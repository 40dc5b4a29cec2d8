"""`waybill desk user`: the accounts of the desk, in one file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import add

FileOption = Annotated[Path, typer.Option("--users", metavar="FILE", help="The file of accounts.")]
NameArgument = Annotated[str, typer.Argument(metavar="USER", help="An opaque id, no name.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Add, list and remove accounts of the desk.", no_args_is_help=True)
    add(group, "add", new)
    add(group, "list", show)
    add(group, "remove", remove)
    app.add_typer(group, name="user")


def new(
    user: NameArgument,
    role: Annotated[
        list[str],
        typer.Option(help="station, auditor, admin; or viewer, analyst, supervisor, with :PREFIX for a place."),
    ],
    users: FileOption,
    station: Annotated[str | None, typer.Option(metavar="ID", help="Acts for this station.")] = None,
    token: Annotated[
        bool, typer.Option("--token", help="For a machine: a token instead of a password, shown once.")
    ] = False,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read the password there, - = standard input; default: ask.")
    ] = None,
) -> None:
    """Add an account, or replace that of the same user. The file keeps hashes: argon2 of passwords, SHA-256 of tokens.

    A desk that runs reads the file again, and logs out who has another password.
    """
    import secrets

    from desk.web.users import Account, hashed, password_hash, read, write

    made = secrets.token_urlsafe(32) if token else None
    account = Account(
        user=user,
        roles=tuple(role),
        station=station,
        password=None if made else password_hash(_password(password_file)),
        token=hashed(made) if made else None,
    )
    known = [each for each in read(users) if each.user != user] if users.exists() else []
    write(users, [*known, account])
    if made:
        print(f"token of {user}: {made}", file=sys.stderr)


def show(users: FileOption) -> None:
    """List users with roles and station."""
    from desk.web.users import read

    for each in read(users):
        print(each.user, each.station or "-", *each.roles)


def remove(user: NameArgument, users: FileOption) -> None:
    """Remove an account. A desk that runs logs the user out at once."""
    from desk.web.users import UsersError, read, write

    known = read(users)
    if user not in {each.user for each in known}:
        raise UsersError(f"{users}: no account of {user}")
    write(users, [each for each in known if each.user != user])


def _password(file: Path | None) -> str:
    if file is None:
        asked: str = typer.prompt("password", hide_input=True, confirmation_prompt=True, err=True)
        return asked
    text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    return text.rstrip("\r\n")
