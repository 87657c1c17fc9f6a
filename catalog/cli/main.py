"""The entry point: it knows the commands by name and imports the one that is chosen.

Exit codes: 0 all is well; 1 a `CatalogError` (its text stands on stderr), such as a checkpoint or
run that is not in the catalog, or rows where `--fail-if-any` wanted none; 2 wrong usage, such as a
name that the program itself does not know (a command, option, format, setting, query, view or
parameter); 130 interrupted; ended by SIGPIPE (a shell says 141) where the reader of a pipe went
away, as git and cat do.
"""

import gc

_collects = gc.isenabled()
gc.disable()  # what is imported stays; looking for garbage in it takes a tenth of the start

# ruff: noqa: E402 - the order is what this is about
from catalog.cli.lazy import wait_for_use

wait_for_use()

import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from catalog import __version__
from catalog.cli.conversion import Command, Group
from catalog.cli.options import new_app
from catalog.errors import CatalogError

COMMANDS = {
    "ingest": "Read directory trees into the catalog.",
    "query": "Answer a question that the catalog knows by name.",
    "inspect": "Show what one checkpoint on disk says, without a catalog.",
    "diff": "Show what differs between two checkpoints, or between runs.",
    "trace": "Show where one checkpoint came from, and how that is known.",
    "run": "Show one run: where, when, how it ended, what it reached.",
    "link": "Say which run wrote a checkpoint, where you know better.",
    "validate": "Check a person's statement on a training, point by point.",
    "status": "Show how many checkpoints are in which state, now and before.",
    "report": "Write the whole state of things as a Markdown page.",
    "recover": "Write the configs that unusable checkpoints lack.",
    "host": "Show which machines saw which trees, and give one another name.",
    "forget": "Take what lies in a place out of the catalog.",
    "sql": "Run one SELECT of your own.",
    "db": "Look after the database: upgrade it, see its version, copy it.",
    "settings": "List the settings, and keep them in the catalog.",
}
"""Name and first line of help; the module of each is `catalog.cli.commands.NAME`."""

_WORKING = {"ingest", "link", "recover", "host", "forget", "db"}
"""Commands that work for long: memory is looked after in these."""


class LazyGroup(Group):
    """Holds a name and a line of help of each command, and imports the one that is chosen."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {
            name: Command(name, help=text, rich_markup_mode=None) for name, text in COMMANDS.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the name, the command and its arguments, as click wants them."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in _WORKING:
            gc.enable()
        return name, load(name) if name in COMMANDS else command, rest

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the arguments before the command's name."""
        try:
            return super().make_context(*arguments, **options)
        except Exception as error:
            _without_passwords(error)
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command and turn what a user can mend to one line and an exit code."""
        try:
            result = super().invoke(ctx)
            # A closed pipe must be met here, not by the interpreter on its way out.
            sys.stdout.flush()
        except CatalogError as error:
            _complain(str(error))
            raise typer.Exit(error.exit_code) from error
        except BrokenPipeError:
            _end_with_the_pipe()
        except OSError as error:
            _complain(f"{error.filename or 'input/output'}: {error.strerror or error}.")
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            _complain("interrupted; what was written before is kept.")
            raise typer.Exit(130) from error
        except Exception as error:
            _without_passwords(error)
            raise
        return result


def load(name: str) -> Any:
    """Import a command and return it in the form that click works with."""
    command = typer.main.get_command(import_module(f"catalog.cli.commands.{name}").app)
    command.name = name
    return command


def _complain(sentence: str) -> None:
    # What goes well does without these.
    from catalog.passwords import hide_passwords
    from catalog.query.values import visible

    # It may name files, and a name may hold anything; or the URL of a database in a wrong place.
    lines = hide_passwords(f"catalog: {sentence}").split("\n")
    typer.echo("\n".join(map(visible, lines)), err=True)


def _without_passwords(error: Exception) -> None:
    """Take passwords out of an error of usage, which may repeat what was typed."""
    message = getattr(error, "message", None)
    if isinstance(message, str):
        from catalog.passwords import hide_passwords

        error.message = hide_passwords(message)  # type: ignore[attr-defined]


def _end_with_the_pipe() -> NoReturn:
    """End as programs do that never look at SIGPIPE: quietly, and with no exit code of ours."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    raise SystemExit(128 + signal.SIGPIPE)  # where the signal is blocked


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"catalog {__version__}")
        raise typer.Exit


app = new_app(cls=LazyGroup, no_args_is_help=True)


@app.callback()
def main(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Tell where a checkpoint came from, and whether it can still be used.

    The catalog is a database: the file named by --db, else by $CATALOG_DB, else catalog.db in
    the working directory. `catalog ingest PATH` makes it and fills it. Trees are kept under the
    name of this machine: --host, else $CATALOG_HOST, else its own.
    """


def run() -> None:
    """Run the command line; the console script `catalog`."""
    # A stream that the caller closed (`>&-`) is None in Python; what goes there is not wanted.
    nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open to the end
    sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    for stream in (sys.stdout, sys.stderr):
        # File names may hold anything, and JSON is UTF-8 whatever the locale.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    gc.disable()
    try:
        app(prog_name="catalog")
    finally:
        gc.freeze()  # the interpreter's last look for garbage is spared, too


if _collects:
    gc.enable()
