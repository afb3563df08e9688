"""`speechverse reproduce`: the paper's claims on a model and data of the user's."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechverse.cli.offline import Offline
from speechverse.cli.options import Device, Json
from speechverse.commas import listed
from speechverse.errors import UserError

if TYPE_CHECKING:
    from speechverse.findings.finding import Finding

MADE = ("clean", "noisy", "words", "unseen")
"""Test sets that are made where they are not there."""

OTHERS = ("slurp", "people")


def command(
    recipe: Annotated[
        str, typer.Argument(help="A recipe file or a built-in recipe's name, to train by.")
    ] = "small",
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Changes to it, as `train` takes them."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick/--full", help="Only answers, or models trained for findings too."),
    ] = True,
    only: Annotated[
        str | None, typer.Option(help="Findings, comma-separated: F1,F4. By default all.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="The model they are about: a run's folder or a built-in name."),
    ] = None,
    test_sets: Annotated[
        Path,
        typer.Option(
            help="Folder of clean, noisy, words, unseen: each a corpus, a JSONL file, or a YAML"
            " file of several; made if missing."
        ),
    ] = Path("test-sets"),
    people: Annotated[
        Path | None, typer.Option(help="Recordings of people: a corpus folder or a JSONL file.")
    ] = None,
    training_corpus: Annotated[
        Path | None, typer.Option(help="Corpus folder whose training part fits the specialists.")
    ] = None,
    cascade_lora: Annotated[
        Path | None, typer.Option(help="LoRA that reads transcripts, for the tuned cascades.")
    ] = None,
    systems: Annotated[
        str | None,
        typer.Option(
            help="Further rivals, comma-separated, as `evaluate` takes them: endpoint:MODEL,"
            " cascade:NAME, my.py:SYSTEM."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=2, help="Clips a task.")] = 50,
    clip_steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Steps of a training with --full, by default 3,000; the others in proportion.",
        ),
    ] = None,
    device: Device = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for all that is made, and the page.")
    ] = Path("findings"),
    json: Json = False,
    offline: Offline = False,
) -> None:
    """Re-run the paper's experiments: a table and a page of plots, each claim held, not held, not
    shown (its interval holds 0) or not testable here.

    Stopped, the same command goes on; what is finished is read.

    [bold]Examples[/bold]

      speechverse reproduce small --quick

      speechverse reproduce small --only F1,F8 --systems cascade:openai/whisper-small

      speechverse reproduce small-world --full --model small data.corpora.world.path=world
      data.corpora.voices.path=voices
    """
    from pydantic import TypeAdapter

    from speechverse.cli.common import progress
    from speechverse.files import folder_lock, make_folder
    from speechverse.findings.deciding import Decided
    from speechverse.findings.report import (
        PAGE,
        TABLE,
        Findings,
        write_numbers,
        write_page,
    )
    from speechverse.findings.runner import Runner
    from speechverse.findings.trainings import CLIP_STEPS

    if quick and clip_steps is not None:
        raise UserError(
            "--clip-steps is the budget of trainings, and --quick trains nothing: give --full"
        )
    budget = clip_steps or CLIP_STEPS
    if people and not people.exists():
        raise UserError(f"--people: there is no '{people}'; name a corpus folder or a JSONL file")
    beside = _beside(training_corpus is not None, cascade_lora is not None, systems)
    chosen = _chosen(quick, only, beside)
    asked = [set(one.systems) for finding in chosen for one in finding.evaluations]
    if systems and not any(set(beside) <= some for some in asked):
        raise UserError("--systems are rivals in F1 and F8, and neither is asked for")
    about = model or _trained_by(recipe, overrides or ())
    make_folder(output)
    places = _test_sets(chosen, test_sets) | ({"people": people} if people else {})
    options: dict[str, Any] = {"--model": about, "--test-sets": test_sets, "--people": people}
    options |= {"--training-corpus": training_corpus, "--cascade-lora": cascade_lora}
    options |= {"--systems": systems}
    options |= {"--limit": limit, "--clip-steps": None if quick else budget}
    again = [
        "speechverse",
        "reproduce",
        recipe,
        *(overrides or ()),
        *(() if quick else ("--full",)),
    ]
    given = ((name, value) for name, value in options.items() if value is not None)
    again += [str(word) for pair in given for word in pair] + ["--output", str(output)]
    done: list[Decided] = []
    with folder_lock(output, "reproducing into"), progress(json) as watch:
        runner = Runner(
            about,
            recipe,
            output,
            places,
            overrides=overrides or (),
            limit=limit,
            training_corpus=training_corpus,
            reader_lora=cascade_lora,
            device=device,
            clip_steps=budget,
            command=again,
            tell=lambda line: typer.echo(line, err=True),
            watch=watch,
        )
        all_made: Findings | None = None
        try:
            for found in runner.run(chosen):
                done.append(found)
                made = Findings(Path(about).name, recipe, tuple(done))
                all_made = write_numbers(output, made)
                if not json:
                    typer.echo(f"{found.id:<4} {found.summary:<18} {found.claim}")
        except KeyboardInterrupt:
            typer.echo("stopped; the same command goes on", err=True)
            raise
        finally:
            if all_made is not None:
                write_page(output, all_made)
    if json:
        assert all_made is not None  # for at least one finding was asked for
        typer.echo(TypeAdapter(Findings).dump_json(all_made, indent=1).decode())
    else:
        typer.echo(f"table {output / TABLE}\npage  {output / PAGE}")


def _beside(fitted: bool, tuned: bool, systems: str | None) -> list[str]:
    """Who is measured on all tasks besides those that always are."""
    from speechverse.evaluation.parts import FITTED, TUNED, check_systems
    from speechverse.findings.catalogue import BESIDE

    if systems is not None and not listed(systems):
        raise UserError("--systems names no rival: name some with commas between, or leave it out")
    if given := [name for name in listed(systems) if name not in BESIDE]:
        check_systems(given)
    return list(dict.fromkeys([*(FITTED if fitted else ()), *(TUNED if tuned else ()), *given]))


def _chosen(quick: bool, only: str | None, beside: Sequence[str]) -> list[Finding]:
    """The findings asked for."""
    from speechverse.findings.catalogue import findings_of

    known = findings_of(beside)
    if only is None:
        return [finding for finding in known if not (quick and finding.full)]
    names, there = listed(only), ", ".join(finding.id for finding in known)
    if not names:
        raise UserError(f"--only names no finding: name some of {there}, or leave it out")
    if unknown := set(names) - {finding.id for finding in known}:
        raise UserError(f"there is no finding {', '.join(sorted(unknown))}; there are {there}")
    chosen = [finding for finding in known if finding.id in names]
    if trained := [finding.id for finding in chosen if quick and finding.full]:
        raise UserError(f"models are trained for {', '.join(trained)}: give --full")
    return chosen


def _trained_by(recipe: str, overrides: Sequence[str]) -> str:
    """The model that a recipe's name stands for: what comes along, or the run that `train` made."""
    from speechverse.hub import BUILT_IN
    from speechverse.training.recipe_files import load_recipe

    if recipe in BUILT_IN:
        return recipe
    run = Path("runs") / load_recipe(recipe, overrides).name
    if not (run / "config.json").is_file():
        raise UserError(f"there is no model in '{run}': train the recipe, or name one with --model")
    return str(run)


def _test_sets(chosen: list[Finding], folder: Path) -> dict[str, Path]:
    """The corpora that the findings ask; frozen test sets that are missing are made."""
    from speechverse.cli.synth import make_corpus
    from speechverse.findings.test_sets import SUFFIXES

    wanted = {asked.test_set for finding in chosen for asked in finding.evaluations}
    places = {}
    for name in (*MADE, *OTHERS):
        files = folder / name, *(folder / f"{name}{suffix}" for suffix in SUFFIXES)
        there = [file for file in files if file.exists()]
        if len(there) > 1:
            told = " and ".join(f"'{file}'" for file in there)
            raise UserError(f"test set '{name}' is there as {told}: keep one of them")
        found = there[0] if there else files[0]
        missing = found.suffix not in SUFFIXES and not (found / "corpus.json").exists()
        if missing and name in wanted and name in MADE:
            from speechverse.world import test_set_spec

            with contextlib.redirect_stdout(sys.stderr):  # which may be for JSON
                make_corpus(found, test_set_spec(name), test_set=True)
        places[name] = found
    return places
