"""`speechverse serve`: a model behind OpenAI's HTTP conventions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from speechverse.cli.offline import Offline
from speechverse.errors import UserError

KEYS = "SPEECHVERSE_API_KEYS"
_LIMITS = "Limits"


def command(
    model: Annotated[
        str, typer.Argument(help="A built-in name, a checkpoint's folder, or a hub name.")
    ] = "small",
    host: Annotated[
        str, typer.Option(help="Where it listens; 0.0.0.0 is on all networks.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    name: Annotated[
        str | None, typer.Option(help="Of the model, in requests; by default as it is given.")
    ] = None,
    keys_file: Annotated[
        Path | None,
        typer.Option(
            help=(
                f"API keys, one a line; or in the variable {KEYS}, with commas between. Without"
                " any, whoever reaches it may ask."
            )
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, ...; by default a GPU where there is one.")
    ] = None,
    max_requests: Annotated[
        int,
        typer.Option(
            min=1, help="Taken at once; one more is told to come again.", rich_help_panel=_LIMITS
        ),
    ] = 64,
    max_batch: Annotated[
        int, typer.Option(min=1, help="Questions answered together.", rich_help_panel=_LIMITS)
    ] = 16,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds that a request may take.", rich_help_panel=_LIMITS)
    ] = 600.0,
    max_upload_mb: Annotated[
        float, typer.Option(min=0.1, help="Of a request's sounds.", rich_help_panel=_LIMITS)
    ] = 25.0,
    max_minutes: Annotated[
        float,
        typer.Option(min=0.1, help="Of a recording to write down.", rich_help_panel=_LIMITS),
    ] = 120.0,
    log_content: Annotated[
        bool, typer.Option("--log-content", help="Let warnings quote what was asked.")
    ] = False,
    offline: Offline = False,
) -> None:
    """Answer over HTTP, by OpenAI's conventions.

    [bold]Examples[/bold]

      speechverse serve

      speechverse serve runs/my --name my --keys-file keys.txt --host 0.0.0.0

      curl http://127.0.0.1:8000/v1/audio/transcriptions -F model=small -F file=@clip.wav
    """
    keys = _keys(keys_file)
    from speechverse.pipeline import SpeechVerse
    from speechverse.serving.running import keep_content_out_of_logs, server_of
    from speechverse.serving.settings import ServerSettings

    settings = ServerSettings(
        name=name or model,
        keys=keys,
        max_requests=max_requests,
        max_batch=max_batch,
        timeout=timeout,
        max_upload=int(max_upload_mb * 2**20),
        max_seconds=60 * max_minutes,
    )
    if not log_content:
        keep_content_out_of_logs()
    server_of(SpeechVerse.from_pretrained(model, device), settings, host, port).run()


def _keys(file: Path | None) -> tuple[str, ...]:
    """Keys are no argument: every user of a machine sees those."""
    if file is None:
        given = os.environ.pop(KEYS, "").split(",")
    else:
        try:
            given = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"the keys in '{file}' cannot be read: {error}") from error
    keys = tuple(key.strip() for key in given if key.strip())
    if file is not None and not keys:
        raise UserError(f"'{file}' holds no key; write one a line, or leave out --keys-file")
    if any(len(key) < 16 for key in keys):
        raise UserError("an API key has fewer than 16 characters: make longer ones")
    return keys
