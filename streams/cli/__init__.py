"""The command line: `waybill`.

Each command, or group of commands, is a module here with a function `register(app)`; `COMMANDS` lists them in the
order of the help. Modules import nothing heavy at the top: polars, Faust and Kafka come in when a command runs, so that
`waybill --help` answers at once.

Errors are one line on standard error. Exit codes: 0 done, 1 failed, 2 wrong use or setting, 3 a backtest found more
changes than allowed, 4 most lines of a file of events were rejected, 130 stopped by Ctrl-C.
`waybill --debug COMMAND` shows the traceback instead.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from itertools import takewhile
from typing import Annotated, Any

import typer

from schemas.errors import WaybillError
from streams.cli import interrupts
from streams.cli.output import make_readable
from streams.explain import explain

COMMANDS = (
    "demo",
    "worker",
    "alerts",
    "clues",
    "measures",
    "tallies",
    "orders",
    "desk",
    "dispatcher",
    "tracer",
    "doctor",
    "generate",
    "judge",
    "backtest",
    "replay",
    "rules",
    "settings",
    "size",
    "keys",
    "topics",
    "offsets",
    "erase",
    "acl",
    "broker",
)
FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130

HELP = """Watch express waybills on Kafka and warn of parcels worth opening while they can still be stopped.

[bold]First steps[/bold]

  waybill broker run               a Kafka for development: no Java, no Docker
  waybill topics create            the topics, on that or another Kafka
  waybill generate DIR             synthetic events with planted cases
  waybill judge DIR --out FILE     judge files of events, without a broker
  waybill backtest DIR --rules NEW what other rules would change
  waybill replay DIR               publish files of events to the topics
  waybill rules list               what is flagged; rules show NAME says why
  waybill keys new                 keys of your own for the tokens of persons
  waybill size                     partitions, workers, disk and memory that it takes
  waybill offsets show             where workers go on reading, and how much is left
  waybill acl                      what each role may do on the broker, for whoever grants it

[bold]Settings[/bold] come from options, WAYBILL_… variables, waybill.toml and defaults, in this
order; [bold]waybill settings[/bold] lists them.
"""


def main() -> None:
    """Entry point of the console script.

    SIGTERM, and SIGHUP of a terminal that is closed, unwind like Ctrl-C, so that commands clean up after themselves.
    """
    interrupts.install()
    if sys.stdout is None:  # closed
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    make_readable()  # what a terminal cannot show is no reason to fail
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
    sys.exit(code)


def _forget_output() -> None:
    """What is still to be written goes nowhere: nobody reads it, as behind `| head`."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; nothing is raised but what `--debug` asks for."""
    debug = "--debug" in takewhile(lambda argument: argument.startswith("-"), arguments)  # a command has no such option
    try:
        command = typer.main.get_command(build(_asked(arguments)))
        code = command.main(args=list(arguments), prog_name="waybill", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:
        if not isinstance(end.__context__, BrokenPipeError):  # Click and Rich make that an exit with 1
            raise
        _forget_output()
        return 0
    except typer.Abort:
        print("aborted", file=sys.stderr)
        return FAILED
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # the help is its message, or was printed already
            print(str(error).strip(), end="", file=sys.stderr)
            return WRONG_USE
        if debug:
            raise
        text, code = _explain(error)
        print(text, file=sys.stderr)
        return code


def _asked(arguments: Sequence[str]) -> Sequence[str]:
    """The command that is asked for: to build the other twenty takes a tenth of a second. All, if none of them is."""
    first = next((argument for argument in arguments if not argument.startswith("-")), None)
    return (first,) if first in COMMANDS else COMMANDS


def build(names: Sequence[str] = COMMANDS) -> typer.Typer:
    """The app with these commands; `typer.testing.CliRunner` and shell completion work on it."""
    app = typer.Typer(name="waybill", help=HELP, no_args_is_help=True, pretty_exceptions_enable=False,
                      rich_markup_mode="rich", context_settings={"help_option_names": ["-h", "--help"]})  # fmt: skip
    app.callback()(_common)
    for name in names:
        import_module(f"{__name__}.{name}").register(app)
    return app


def _common(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=lambda on: _version(on)),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback instead of one line when something fails.")
    ] = False,
) -> None:
    del version, debug  # `run` looks at --debug itself, as errors may come before this


def _version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    try:
        print(f"waybill-sentinel {version_of('waybill-sentinel')}")
    except PackageNotFoundError:
        print("waybill-sentinel (not installed)")
    raise typer.Exit


def _explain(error: Exception) -> tuple[str, int]:
    """One readable line about an error, and the exit code."""
    usage: Any = error
    if hasattr(error, "format_message"):  # click's own: wrong options and arguments
        context = getattr(usage, "ctx", None)
        path = context.command_path if context else "waybill"
        text = usage.format_message().replace("\n", " ")
        return f"{path}: error: {text} (see {path} --help)", int(usage.exit_code)
    if isinstance(error, ModuleNotFoundError):  # what workers do not need is an extra
        missing = f"the Python package {error.name} is not installed here, and this needs it"
        return f"waybill: error: {missing}{_how_to_get(error.name or '')}", FAILED
    text = explain(error)
    if isinstance(error, WaybillError):
        return f"waybill: error: {text}", error.exit_code
    where = " (waybill --debug … shows more)" if text.startswith("unexpected ") else ""
    return f"waybill: error: {text}{where}", FAILED


def _how_to_get(module: str) -> str:
    """How to install the extra that brings a package; empty where none does."""
    from importlib.metadata import PackageNotFoundError, requires

    with suppress(PackageNotFoundError):
        for line in requires("waybill-sentinel") or ():
            if found := re.fullmatch(rf"{re.escape(module)}\b.*; extra == ['\"](?!dev)(\w+)['\"]", line):
                return f": pip install 'waybill-sentinel[{found[1]}]'"
    return ""
