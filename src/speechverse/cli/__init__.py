"""The command line: one file a verb, all of them thin; this file joins them and words their
failures.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

import typer

from speechverse import __version__
from speechverse.errors import (
    DiskFullError,
    MissingExtraError,
    SpeechverseError,
    UserError,
    no_room,
)

VERBS = (
    *("quickstart", "synth", "texts", "instructions", "prepare", "check", "card", "pretrain"),
    *("probe", "train", "evaluate", "reproduce", "ask", "transcribe", "serve", "demo", "info"),
    "pretrained",
)
EXTRAS = {
    "quickstart": "train,eval,synth",
    "synth": "synth",
    "texts": "synth",
    "instructions": "eval,synth",
    "prepare": "train",
    "check": "eval",
    "card": "eval",
    "pretrain": "train",
    "probe": "eval",
    "train": "train",
    "evaluate": "eval",
    "reproduce": "train,eval,synth",
    "serve": "serve",
    "demo": "demo",
}
"""What each verb needs beside the base install, as pip takes it."""

EXAMPLES = """
[bold]Start here[/bold]

  speechverse quickstart                          the whole way, in some 3 minutes
  speechverse ask clip.wav "What is being said?"  by the model that comes along
  speechverse train my.yaml --output runs/my      a model of your own
"""


def build_app() -> typer.Typer:
    app = typer.Typer(
        name="speechverse",
        help="Audio language models that follow instructions about speech.\n" + EXAMPLES,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for verb in VERBS:
        command = importlib.import_module(f"speechverse.cli.{verb}").command
        app.command(verb, help=_in_long_lines(command.__doc__))(command)
    return app


def _in_long_lines(text: str) -> str:
    """Each paragraph as one line: typer breaks them to the terminal's width, and keeps ours."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"speechverse {__version__}")
        raise typer.Exit


def _root(
    traceback: bool = typer.Option(
        False,
        "--traceback",
        envvar="SPEECHVERSE_TRACEBACK",
        help="Show Python's traceback when something fails.",
    ),
    version: bool = typer.Option(
        False,
        "--version",
        help="Print the version and stop.",
        is_eager=True,
        callback=_print_version,
    ),
) -> None:
    os.environ["SPEECHVERSE_TRACEBACK"] = "1" if traceback else ""  # as read, `0` being off


def main() -> NoReturn:
    """Runs the command line; exit status 2 for the user's mistakes, 1 for ours, 130 for Ctrl-C, 141
    where the reader of its output went away.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")  # a sign it cannot show loses no answer
    try:
        build_app()()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer and rich have silenced it
            sys.exit(128 + signal.SIGPIPE)
        raise
    except SpeechverseError as error:
        _fail(error, status=2 if isinstance(error, UserError) else 1)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(130)
    except ModuleNotFoundError as error:
        missing = _of_an_extra(error)
        _fail(missing or error, status=2 if missing else 1)
    # noqa: BLE001 - the last door: whatever comes here is ours, and is worded as such
    except Exception as error:
        if reason := no_room(error):
            _fail(DiskFullError(Path("the command's output"), reason), status=2)
        _fail(error, status=1)
    sys.exit(0)


def _of_an_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """What to install for this verb, if it is a third party's module that is missing."""
    verb = next((word for word in sys.argv[1:] if word in VERBS), None)
    if verb not in EXTRAS or error.name is None or error.name.startswith("speechverse"):
        return None
    what = f"`speechverse {verb}` finds no module '{error.name}': it"
    return MissingExtraError(what, EXTRAS[verb])


def _fail(error: BaseException, status: int) -> NoReturn:
    if os.environ.get("SPEECHVERSE_TRACEBACK"):
        raise error
    told = f"error: {error}"
    if not isinstance(error, SpeechverseError):
        kind = type(error).__name__
        told = f"internal error: {kind}: {error}\n(speechverse --traceback ... shows where)"
    typer.secho(told, fg="red", err=True)
    sys.exit(status)
