"""`speechverse demo`: a web page to talk to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechverse.cli.offline import Offline
from speechverse.cli.options import LOOPBACK, Device, ModelArgument, Precision
from speechverse.errors import UserError


def command(
    model: ModelArgument = "small",
    examples: Annotated[
        Path | None, typer.Option(help="A folder of clips that the page offers to try.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="By default the first free one from 7860 on."),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser", help="Open the page in this machine's browser.")
    ] = False,
    device: Device = None,
    precision: Precision = "fp32",
    offline: Offline = False,
) -> None:
    """Open a page to talk to a model: record or upload a clip, ask, see.

    No request leaves this machine, and without --host only this machine reaches the page.

    [bold]Examples[/bold]

      speechverse demo

      speechverse demo runs/my --examples clips/ --browser
    """
    from speechverse.cli.many_clips import clips_in

    clips = clips_in(examples) if examples else []
    from speechverse.demo import build_page, door, look
    from speechverse.pipeline import SpeechVerse

    host = host.strip("[]")
    page = build_page(SpeechVerse.from_pretrained(model, device, precision), clips)
    try:
        _, address, _ = page.launch(
            server_name=f"[{host}]" if ":" in host else host,
            server_port=port,
            inbrowser=browser,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            **door(only_here=host in LOOPBACK),
            **look(),
        )
    except (OSError, ValueError) as error:
        raise UserError(f"the page cannot be served at {host}: {error}") from error
    typer.echo(f"talk to '{model}' at {address} (Ctrl-C ends it)", err=True)
    page.block_thread()
