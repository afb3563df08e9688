"""`speechverse serve`: a model behind OpenAI's HTTP conventions."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Annotated

import typer

from speechverse.cli.offline import Offline
from speechverse.cli.options import LOOPBACK, Device, ModelArgument, Precision
from speechverse.errors import UserError, first_line, needs_extra
from speechverse.serving.keys import KEYS, keys_of

_LIMITS = "Limits"


def command(
    model: ModelArgument = "small",
    host: Annotated[
        str, typer.Option(help="Where it listens; 0.0.0.0 is on all networks.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    name: Annotated[
        str | None, typer.Option(help="The model's name in requests; by default as it is given.")
    ] = None,
    keys_file: Annotated[
        Path | None,
        typer.Option(
            help=(
                f"API keys, one a line; or in the variable {KEYS}, with commas between. Without"
                " any, whoever reaches it may ask, and at 127.0.0.1 only by that or localhost."
            )
        ),
    ] = None,
    device: Device = None,
    precision: Precision = "fp32",
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
        float,
        typer.Option(
            min=0.1, help="The most that a request's sounds may take.", rich_help_panel=_LIMITS
        ),
    ] = 25.0,
    max_minutes: Annotated[
        float,
        typer.Option(min=0.1, help="The longest recording to write down.", rich_help_panel=_LIMITS),
    ] = 120.0,
    ui: Annotated[
        bool,
        typer.Option(
            "--ui",
            help=(
                "Also serve the page of [bold]demo[/bold], at /. With API keys, browsers ask for"
                " one, as the password of any name."
            ),
        ),
    ] = False,
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
    if not math.isfinite(timeout + max_upload_mb + max_minutes):
        raise UserError("--timeout, --max-upload-mb and --max-minutes want finite numbers")
    keys, host = keys_of(keys_file), host.strip("[]")
    from speechverse.pipeline import SpeechVerse
    from speechverse.serving.app import create_app
    from speechverse.serving.running import keep_content_out_of_logs, server_of
    from speechverse.serving.settings import ServerSettings

    if ui:
        with needs_extra("`speechverse serve --ui`", "demo"):
            from speechverse.demo.mounted import with_page
    _check_place(host, port)
    settings = ServerSettings(
        name=name or model,
        keys=keys,
        only_here=not keys and host in LOOPBACK,
        max_requests=max_requests,
        max_batch=max_batch,
        timeout=timeout,
        max_upload=int(max_upload_mb * 2**20),
        max_seconds=60 * max_minutes,
    )
    if not log_content:
        keep_content_out_of_logs()
    app = create_app(SpeechVerse.from_pretrained(model, device, precision), settings)
    server_of(with_page(app) if ui else app, host, port).run()


def _check_place(host: str, port: int) -> None:
    """Tries to listen as the server will, which has a model to load before.

    Raises:
        UserError: If that cannot be.
    """
    import asyncio

    async def listen() -> None:
        loop = asyncio.get_running_loop()
        (await loop.create_server(asyncio.Protocol, host, port)).close()

    try:
        asyncio.run(listen())
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else first_line(error)
        raise UserError(
            f"the server cannot listen at {host}, port {port} ({reason}): end what listens there,"
            " or name another place with --port (0 takes a free one) and --host"
        ) from error
