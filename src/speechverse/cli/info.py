"""`speechverse info`: this installation, and what a checkpoint holds."""

from __future__ import annotations

import json as json_format
import math
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

from speechverse import __version__
from speechverse.cli.offline import Offline
from speechverse.cli.options import Json

LIBRARIES = "torch transformers peft lhotse accelerate soundfile soxr av numpy".split()


def command(
    model: Annotated[
        str | None, typer.Argument(help="A built-in name, a checkpoint's folder, or a hub name.")
    ] = None,
    json: Json = False,
    offline: Offline = False,
) -> None:
    """Say what is installed, and what a checkpoint is made of.

    [bold]Examples[/bold]

      speechverse info

      speechverse info small
    """
    told: dict[str, Any] = {"installation": installation()}
    if model is not None:
        told["model"] = checkpoint(model)
    if json:
        typer.echo(json_format.dumps(told))
    else:
        _show(told)


def installation() -> dict[str, Any]:
    """Versions and devices."""
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "speechverse": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
        "devices": ["cpu", *gpus],
        "cpu threads": torch.get_num_threads(),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def checkpoint(name: str) -> dict[str, Any]:
    """The parts of a checkpoint, what they count, where they come from, and what it takes."""
    from speechverse.evaluation.provenance import LAYER_WEIGHTS, RECIPE, describe, find_recogniser
    from speechverse.hub import local_folder, resolve
    from speechverse.pipeline import SpeechVerse

    model = SpeechVerse.from_pretrained(name, "cpu").model
    about = describe(model, name)
    recipe = local_folder(resolve(name)) / RECIPE
    recogniser, why_none = find_recogniser(model)
    frame_rate = model.encoder.frame_rate / math.prod(model.config.downsampler.strides)
    weights = {name: [round(w, 4) for w in about[name]] for name in LAYER_WEIGHTS if about[name]}
    counts = {p.part: {"total": p.total, "trained": p.trainable} for p in model.parameter_report()}
    return {
        **about,
        **weights,
        "frames into the LLM": f"{frame_rate:g} a second",
        "CTC head": "yes" if recogniser else f"no ({why_none})",
        "parameters": counts,
        "recipe": recipe.read_text(encoding="utf-8") if recipe.is_file() else None,
    }


def _show(told: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, emoji=False)  # names and paths are shown as they are written
    for title, facts in told.items():
        table = Table(title=title, show_header=False, title_justify="left", box=None)
        counts, recipe = facts.pop("parameters", None), facts.pop("recipe", None)
        for name, value in facts.items():
            listed = value if isinstance(value, list) else [value]
            table.add_row(name, ", ".join(map(str, listed)))
        console.print(table)
        if counts:
            console.print(_counts(counts))
        if recipe:
            console.print("\nrecipe it was trained with", style="bold")
            console.print(recipe, highlight=False)


def _counts(counts: dict[str, dict[str, int]]) -> Any:
    from rich.table import Table

    table = Table("part", "parameters", "of them trained", title_justify="left", box=None)
    for part, count in counts.items():
        table.add_row(part, f"{count['total']:,}", f"{count['trained']:,}")
    total, trained = (sum(of[kind] for of in counts.values()) for kind in ("total", "trained"))
    table.add_row("together", f"{total:,}", f"{trained:,}", style="bold")
    return table
