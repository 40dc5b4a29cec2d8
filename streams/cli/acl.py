"""`waybill acl`: the rights of each role on the broker, for whoever grants them."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from streams.cli.options import ConfigOption, SetOption, add, settings_of

Format = Literal["table", "kafka-acls", "strimzi", "json"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "acl", acl)


def acl(
    role: Annotated[
        list[str] | None, typer.Option("--role", metavar="ROLE", help="Whose rights; repeatable. None: list the roles.")
    ] = None,
    principal: Annotated[
        str | None, typer.Option(help="Who gets them, such as User:carrier (default: User:waybill-ROLE).")
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="A table, commands for kafka-acls.sh, a KafkaUser of Strimzi, or JSON.")
    ] = "table",
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Print the rights that a role needs on the broker, and no others.

    Each process checks the same list when it starts. Names of groups and transactional ids follow from the setting
    `group`. Several roles of one principal are printed as one list. The commands expect the broker in BOOTSTRAP, and
    in ADMIN a file with the properties of somebody who may grant.
    """
    settings = settings_of(config, assignments)

    from streams.cli.views import acl as views
    from streams.kafka.roles import ROLES

    if not role:
        views.roles(ROLES, as_json=form == "json")
        return
    known = {each.name: each for each in ROLES}
    if strange := [name for name in role if name not in known]:
        raise typer.BadParameter(f"{strange[0]!r} is none of {', '.join(known)}", param_hint="--role")
    rights = dict.fromkeys(right for name in role for right in known[name].rights(settings.group))
    views.SHOW[form](tuple(rights), principal or f"User:waybill-{'-'.join(role)}")
