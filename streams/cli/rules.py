"""`waybill rules`: show, write, check, document and push the rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.bars import ProgressOption, bar
from streams.cli.options import ConfigOption, JsonOption, SetOption, add, settings_of
from streams.cli.output import json_line
from streams.cli.rulefiles import catalogues, check_known, folder_of, own_folder

if TYPE_CHECKING:
    pass

RulesOption = Annotated[
    Path | None,
    typer.Option("--rules", metavar="DIR", help="Folder of rule files (default: setting rules_dir, else as shipped)."),
]
ChosenArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[RULE]...", help="Rules or families (default: all).")
]


def register(app: typer.Typer) -> None:
    """Add the group."""
    from streams.cli import rulesets

    group = typer.Typer(help="Show, write, check, document and push the rules.", no_args_is_help=True)
    for name, command in (
        ("list", list_rules),
        ("show", show),
        ("new", new),
        ("copy", copy),
        ("lint", lint),
        ("test", run_cases),
        ("columns", columns),
        ("docs", docs),
        ("push", rulesets.push),
        ("rollback", rulesets.rollback),
        ("status", rulesets.status),
    ):
        add(group, name, command)
    app.add_typer(group, name="rules")


def list_rules(
    chosen: ChosenArgument = None,
    rules: RulesOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """List the rules: id, mode, category, points, version, titles. Marks what rule_overrides change."""
    settings = settings_of(config, assignments, rules_dir=rules)

    from rules.pages.wording import changes
    from streams.cli.views import rules as view

    catalogue, written = catalogues(settings, chosen)
    if not as_json:
        view.listing(catalogue, written)
        return
    for rule in catalogue.rules:
        fields = {name: getattr(rule, name) for name in ("id", "mode", "category", "points", "version", "title")}
        json_line({**fields, "overridden": _overridden(changes(written.by_id[rule.id], rule))})


def show(
    rule_id: Annotated[str, typer.Argument(metavar="RULE", help="Id of a rule: family.name.")],
    rules: RulesOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Show one rule whole: its purpose, its SQL with the limits in force, the columns it reads, its cases."""
    settings = settings_of(config, assignments, rules_dir=rules)

    import msgspec

    from rules.engine.folder import rule_ids
    from rules.engine.sql import spelled_out
    from rules.pages.wording import changes
    from schemas.columns import COLUMNS
    from streams.cli.views import rules as view

    check_known([rule_id], rule_ids(folder_of(settings)), families=False)
    catalogue, written = catalogues(settings, [rule_id])
    rule, before = catalogue.by_id[rule_id], written.by_id[rule_id]
    expression = catalogue.expressions[catalogue.rules.index(rule)]
    reads = sorted(set(expression.meta.root_names()))
    file = folder_of(settings) / f"{rule_id.replace('.', '/')}.yaml"
    sql = spelled_out(rule.when, rule.limits, rule_id)
    if not as_json:
        view.whole(rule, before, sql=sql, reads=reads, file=file)
        return
    described = {
        name: {**_column(COLUMNS[name]), "read": name in reads, "evidence": name in rule.evidence}
        for name in dict.fromkeys([*rule.evidence, *reads])
    }
    json_line(
        msgspec.to_builtins(rule)
        | {"sql": sql, "columns": described, "overridden": _overridden(changes(before, rule)), "file": str(file)}
    )


def new(
    rule_id: Annotated[str, typer.Argument(metavar="FAMILY.NAME", help="Id of the rule: its folder and file.")],
    rules: RulesOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Write a rule file to fill in, with every field and three cases: yes, no, unknown.

    Name the folder with --rules or the setting rules_dir. An existing file is not replaced. The rule begins in shadow:
    it is answered, and earns no points. Editors complete and check the file by the schema that its first line names.
    """
    settings = settings_of(config, assignments, rules_dir=rules)
    folder = own_folder(settings)

    from rules.lint.blank import write_blank

    path = write_blank(folder, rule_id)
    where = f" --rules {rules}" if rules else ""
    print(f"{path}: written. Fill in what says TODO, then run")
    print(f"  waybill rules lint {rule_id}{where}")
    print(f"  waybill rules test {rule_id}{where}")


def copy(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the files; created if missing.")],
) -> None:
    """Copy the shipped rule files to DIR, to begin your own catalogue.

    If one of the files exists already, this fails and writes nothing.
    """
    from rules.engine.folder import SHIPPED, rule_files
    from rules.lint.blank import write_schema

    files = {path: folder / path.relative_to(SHIPPED) for path in rule_files(SHIPPED)}
    for target in files.values():
        if target.exists():
            raise typer.BadParameter(f"{target} is there already", param_hint="DIR")
    for path, target in files.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    write_schema(folder)
    print(f"{folder}: {len(files)} rules; use them with --rules {folder} or WAYBILL_RULES_DIR={folder}")


def lint(
    chosen: ChosenArgument = None,
    rules: RulesOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Look for faults in rule files. Exit code 1 if there is an error; a warning may be what you want.

    Errors: what does not load, files that would be overlooked, what is still to fill in, missing cases. Warnings: a
    rule that never says yes to values around its limits, a text that a column never holds, evidence that does not show
    what the rule compares, misleading names and titles.
    """
    settings = settings_of(config, assignments, rules_dir=rules)

    from rules.engine.folder import SHIPPED, rule_ids
    from rules.lint.lint import lint as look
    from streams.cli.views import rules as view

    if chosen:
        check_known(chosen, rule_ids(settings.rules_dir or SHIPPED))
    report = look(settings.rules_dir, settings.rule_overrides, only=chosen or None)
    if as_json:
        for finding in report.findings:
            names = ("file", "rule", "field", "severity", "message")
            json_line({name: getattr(finding, name) for name in names})
    else:
        view.findings(report)
    if report.count("error"):
        raise typer.Exit(1)


def run_cases(
    chosen: ChosenArgument = None,
    rules: RulesOption = None,
    in_force: Annotated[
        bool, typer.Option("--in-force", help="With this deployment's settings and overrides, not as written.")
    ] = False,
    evidence: Annotated[bool, typer.Option("--evidence", "-e", help="Show the evidence of every parcel.")] = False,
    as_json: JsonOption = False,
    progress: ProgressOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Play the cases of rules through the real functions. Exit code 1 if an answer is not the expected one.

    Cases lie on both sides of the limits in their file. So they are played with the limits as written and with default
    settings, unless you give --in-force. If you name rules, a fault in another file does not matter.
    """
    settings = settings_of(config, assignments, rules_dir=rules)

    from rules.pages.wording import changes
    from streams.cli.views import rules as view
    from streams.files.cases import count, play

    in_forces, written = catalogues(settings, chosen)
    catalogue = in_forces if in_force else written
    total, played = count(catalogue), []
    with bar(progress) as advance:
        for outcome in play(catalogue, settings if in_force else None):
            played.append(outcome)
            advance("cases", len(played) / total, len(played))
    if as_json:
        for outcome in played:
            json_line(view.outcome_record(outcome))
    else:
        view.outcomes(played, catalogue, evidence=evidence)
        if not in_force and any(changes(rule, in_forces.by_id[rule.id]) for rule in written.rules):
            print("rule_overrides were left aside; --in-force plays the cases with them")
    if not all(outcome.passed for outcome in played):
        raise typer.Exit(1)


def columns(as_json: JsonOption = False) -> None:
    """List the columns that rules may read: name, type, meaning, and when the column is null."""
    from schemas.columns import COLUMNS
    from streams.cli.views import rules as view

    if not as_json:
        view.columns()
        return
    for column in COLUMNS.values():
        json_line(_column(column))


def docs(
    folder: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="Folder for the pages; created if missing.")],
    rules: RulesOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Write the catalogue as pages to read, in Chinese and in English, with the limits in force.

    Writes rules.zh.html and rules.en.html, replacing older ones. The pages need no other files.
    """
    settings = settings_of(config, assignments, rules_dir=rules)

    from rules.pages.pages import pages

    catalogue, written = catalogues(settings, None)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages(catalogue, written).items():
        (folder / name).write_text(text, encoding="utf-8")
        print(folder / name)


def _overridden(changed: Mapping[str, tuple[Any, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {"written": before, "in_force": after} for name, (before, after) in changed.items()}


def _column(column: Any) -> dict[str, str]:
    return {name: getattr(column, name) for name in ("name", "type", "doc", "null")}
