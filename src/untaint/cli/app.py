"""`untaint`: the verbs, put together. Imports stay inside the commands so that `--help` is quick."""

import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, final

# Spinning OpenMP threads cost 6-12 times the work on a busy machine; must be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import typer
from typer.core import TyperGroup
from typing_extensions import override

from untaint.cli import (
    attack,
    attack_inversion,
    attest,
    audit,
    clean,
    convert,
    demo,
    exits,
    explain,
    export,
    guard,
    inspect,
    key,
    listing,
    log,
    repair,
    report,
    restore,
    schema,
    seal,
    sign,
    trace,
    train,
    verify,
)
from untaint.errors import BadInput


@final
class _Verbs(TyperGroup):
    """Verbs of one word or two: `attack inversion` is looked for before `attack`."""

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        two = " ".join(args[:2])
        if len(args) > 1 and two in self.commands:
            return two, self.commands[two], args[2:]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="untaint",
    cls=_Verbs,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 nothing found, 1 findings at or above --fail-on, 2 bad usage or input, 3 internal error.",
)
app.command("demo")(demo.demo)
app.command("audit")(audit.audit)
app.command("clean")(clean.clean)
app.command("restore")(restore.restore)
app.command("schema")(schema.schema)
app.command("seal")(seal.seal)
app.command("verify")(verify.verify)
app.command("trace")(trace.trace)
app.command("train")(train.train)
app.command("inspect")(inspect.inspect)
app.command("repair")(repair.repair)
app.command("guard")(guard.guard)
app.command("attack")(attack.attack)
app.command(attack_inversion.NAME)(attack_inversion.attack_inversion)
app.command("explain")(explain.explain)
app.command("convert")(convert.convert)
app.command("report")(report.report)
app.command("export")(export.export)
app.command("key")(key.key)
app.command("sign")(sign.sign)
app.command("log")(log.log)
app.command("attest")(attest.attest)
app.command("list")(listing.listing)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"untaint {version('untaint')}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file; default `untaint.toml` here, if any.")] = None,
    _version_flag: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Keep poison out of neural networks.

    Finds tampered samples in training data, shows the evidence, sets them aside (always reversibly), and says what was not
    checked. Start with `untaint demo`, then `untaint audit DATA`.

    Every flag is also a key of `untaint.toml`, in a table named after the command:  `[audit]` `alpha = 0.001`
    """
    from untaint.cli import config as configuration

    group = context.command
    if isinstance(group, TyperGroup):
        context.default_map = configuration.read(config, group)


_UsageError = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""Base of what the parser raises on wrong arguments; Typer ships the parser under a private name."""


def run() -> None:
    """Entry point: run a verb, turn every error into one line and its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no terminal is too poor to show a label or a p-value
    try:
        code = app(standalone_mode=False, prog_name="untaint")
        if code == exits.STOPPED:  # the parser met Ctrl-C, and says nothing
            code = exits.show(KeyboardInterrupt())
    except typer.Abort:
        code = exits.show(KeyboardInterrupt())
    except (BrokenPipeError, SystemExit):  # in this mode the parser exits for a closed pipe only
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = exits.CUT_OFF
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last resort: a line and a code, no traceback
        code = _shown(error)
    sys.exit(code if isinstance(code, int) else exits.NOTHING)


def _shown(error: BaseException) -> int:
    if not isinstance(error, _UsageError):
        return exits.show(error)
    if type(error).__name__ == "NoArgsIsHelpError":  # `untaint` alone: the help, to read from its start
        error.show()  # type: ignore[attr-defined]
        return exits.BAD_INPUT
    command = getattr(getattr(error, "ctx", None), "command_path", "untaint")
    message = str(error.format_message()).rstrip(".")  # type: ignore[attr-defined]
    return exits.show(BadInput(f"{message}.", advice=f"See `{command} --help`."))
