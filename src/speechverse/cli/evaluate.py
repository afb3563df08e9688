"""`speechverse evaluate`: scores of a model and of the systems beside it, with intervals."""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechverse.cli.common import open_corpus, progress
from speechverse.cli.offline import Offline
from speechverse.cli.options import Device, Json, Precision
from speechverse.commas import listed
from speechverse.errors import UserError
from speechverse.types import CacheMode

if TYPE_CHECKING:
    from speechverse.data import Corpus
    from speechverse.evaluation import EvaluationSettings, Results


def command(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(help="A run's folder, a checkpoint, or a built-in name.")
    ] = "small",
    corpus: Annotated[
        Path | None,
        typer.Option(
            "--corpus",
            "--data",
            help="A corpus folder or a JSONL file; by default what the recipe names.",
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Which split of it. By default test.")] = None,
    training_corpus: Annotated[
        Path | None,
        typer.Option(help="Whose training split specialist, log-mel and majority know."),
    ] = None,
    tasks: Annotated[
        str | None, typer.Option(help="Tasks, comma-separated; by default all with labels.")
    ] = None,
    systems: Annotated[
        str | None,
        typer.Option(help="Systems, comma-separated, such as speechverse,oracle. By default six."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, help="Utterances a task; 0 takes all. By default 300.")
    ] = None,
    held_out: Annotated[
        bool | None,
        typer.Option("--held-out/--seen", help="Instructions that training never showed, or did."),
    ] = None,
    choices: Annotated[
        str | None, typer.Option(help="How closed sets are answered: constrain, score, free.")
    ] = None,
    scoring: Annotated[
        str | None, typer.Option(help="What '--choices score' compares: raw, length, prior.")
    ] = None,
    abstain: Annotated[
        Path | None,
        typer.Option(
            help=(
                "Hold back, and count, answers less probable than those that were 90 % right in"
                " this folder: an evaluation on validation clips with --choices score."
            )
        ),
    ] = None,
    choices_per_prompt: Annotated[
        int | None,
        typer.Option(min=2, help="List so many labels, the right one and others at random."),
    ] = None,
    descriptions: Annotated[
        bool | None,
        typer.Option(help="Labels are listed with what they mean, or not; by default some are."),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Most tokens of a free answer. By default 32 + 8 a second."),
    ] = None,
    beams: Annotated[int | None, typer.Option(min=1, help="Beams; 1 is greedy.")] = None,
    cascade_lora: Annotated[
        Path | None,
        typer.Option(
            help="LoRA that reads transcripts, for tuned cascades: a run's folder 'lora'."
        ),
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="A B",
            help=(
                "Two folders of results, paired question by question; --systems names whose"
                " answers (one, or one of each)."
            ),
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(help="Seeds the choice of utterances and instructions, and the bootstrap."),
    ] = 0,
    device: Device = None,
    precision: Precision = "fp32",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the results and the page.")
    ] = Path("evaluation"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of another evaluation.")
    ] = False,
    cache: Annotated[
        CacheMode,
        typer.Option(help="Encoder outputs: temporary (deleted at the end), keep, none."),
    ] = "temporary",
    json: Json = False,
    offline: Offline = False,
) -> None:
    """Evaluate a model on labelled clips, with cascades, an oracle and the majority class beside
    it.

    [bold]Examples[/bold]

      speechverse evaluate runs/my --corpus my-world --output runs/my/evaluation

      speechverse evaluate small --corpus digits.jsonl --tasks asr --systems
      speechverse,cascade-whisper --json

      speechverse evaluate --compare runs/before/evaluation runs/after/evaluation
    """
    if compare is not None:
        _check_nothing_else(context)
        _compare(*compare, listed(systems), as_json=json)
        return
    from speechverse.decoding import DecodingOptions
    from speechverse.evaluation import EvaluationSettings

    decoding = _given_options(
        max_new_tokens=max_new_tokens, num_beams=beams, choice_mode=choices, choice_scoring=scoring
    )
    asked = _given_options(
        split=split,
        tasks=tasks if tasks in (None, "all") else listed(tasks),
        systems=None if systems is None else listed(systems),
        wording={None: None, True: "held_out", False: "seen"}[held_out],
        limit=limit,
        choices_per_prompt=choices_per_prompt,
        descriptions=descriptions,
    )
    if corpus is None:
        opened, by_recipe, decoding_by_recipe = _of_recipe(model)
        asked, decoding = by_recipe | asked, decoding_by_recipe | decoding
    else:
        opened = open_corpus(corpus, asked.get("split", "test"))
    if training_corpus is not None:
        opened = opened.trained_on(open_corpus(training_corpus, "train"))
    if "limit" in asked:
        asked["limit"] = asked["limit"] or None
    options = DecodingOptions(**decoding)
    if abstain is not None:
        from speechverse.evaluation.calibration import thresholds_of
        from speechverse.evaluation.provenance import checkpoint_fingerprint, describe_split

        clips = describe_split(opened, asked.get("split", "test"))
        scored = options, asked.get("choices_per_prompt")
        asked["thresholds"] = thresholds_of(abstain, *scored, clips, checkpoint_fingerprint(model))
    if scoring is not None and options.choice_mode != "score":
        raise UserError(
            f"--scoring {scoring} is of choices that are scored: give --choices score too"
        )
    settings = EvaluationSettings(**asked, seed=seed, decoding=options)
    _refuse_unused(settings.systems, cascade_lora, training_corpus)
    if not overwrite:
        _refuse_other_results(output, model, opened, settings, precision)
    how: dict[str, Any] = {
        "device": device,
        "precision": precision,
        "cache": cache,
        "cascade_lora": cascade_lora,
    }
    results = run(model, opened, settings, output, quiet=json, **how)
    if json:
        from speechverse.evaluation.results import as_plain

        typer.echo(json_format.dumps({"output": str(output), **as_plain(results)}))


def _refuse_unused(
    systems: Sequence[str], cascade_lora: Path | None, training_corpus: Path | None
) -> None:
    """Refuses what no system that is asked would look at; a user's own may look at anything."""
    from speechverse.evaluation.parts import FITTED, TUNED

    fitted = (*FITTED, "log-mel", "majority")
    parts = {part for name in systems for part in name.split(":")}
    if any(part.endswith(".py") for part in parts):
        return
    for option, place, users in (
        ("--cascade-lora", cascade_lora, TUNED),
        ("--training-corpus", training_corpus, fitted),
    ):
        if place is not None and parts.isdisjoint(users):
            told = ", ".join(users)
            raise UserError(f"{option} is for the systems {told}, and --systems has none of them")


def _refuse_other_results(
    output: Path, model: str, corpus: Corpus, settings: EvaluationSettings, precision: Precision
) -> None:
    """The same asked again takes the place of what it gave before; another question does not."""
    from speechverse.evaluation.into_folder import what_differs

    if differ := what_differs(output, model, corpus, settings, precision):
        raise UserError(
            f"'{output}' holds the results of another evaluation ({differ}): name another --output,"
            " or give --overwrite"
        )


def _check_nothing_else(context: typer.Context) -> None:
    """Refuses what would be asked of a model: two folders are compared as they are."""
    given = [
        parameter.opts[0] if parameter.param_type_name == "option" else "MODEL"
        for parameter in context.command.params
        if parameter.name not in ("compare", "systems", "json", "offline")
        and (source := context.get_parameter_source(parameter.name or ""))
        and source.name == "COMMANDLINE"
    ]
    if given:
        raise UserError(
            "--compare pairs two folders as they are, with --systems and --json alone; leave out"
            f" {', '.join(given)}"
        )


def _compare(one: Path, other: Path, systems: tuple[str, ...], as_json: bool) -> None:
    """Pairs what two folders hold."""
    from speechverse.evaluation.comparison import compare_folders
    from speechverse.evaluation.table import comparison_table

    if len(systems) > 2:
        raise UserError("--compare pairs one system of either folder; name one or two")
    named = (systems[0], systems[-1]) if systems else ("speechverse", "speechverse")
    rows = compare_folders(one, other, named)
    if as_json:
        told = [
            {"task": task, "metric": metric, "first": pair.first._asdict(),
             "second": pair.second._asdict(), "difference": pair.difference._asdict(),
             "num_examples": pair.num_examples}
            for task, metric, pair in rows
        ]  # fmt: skip
        typer.echo(json_format.dumps(told))
        return
    from rich.console import Console

    sides = [f"{name}, {place}" for name, place in zip(named, (one, other), strict=True)]
    Console().print(comparison_table(rows, *sides))


def _given_options(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _of_recipe(model: str) -> tuple[Corpus, dict[str, Any], dict[str, Any]]:
    """The corpus, the settings and the decoding that the recipe beside a model evaluates with."""
    from speechverse.training.recipe_files import load_recipe
    from speechverse.training.sources import Sources

    path = Path(model) / "recipe.yaml"
    recipe = load_recipe(path) if path.is_file() else None
    if recipe is None or recipe.evaluation is None:
        raise UserError(
            f"'{model}' has no recipe with a section 'evaluation'; name a corpus with --corpus"
        )
    section = recipe.evaluation.model_dump()
    corpus = Sources(recipe).corpus(section.pop("corpus"))
    for name in ("tasks", "systems"):
        section[name] = section[name] if section[name] == "all" else tuple(section[name])
    return corpus, section, recipe.decoding.model_dump()


def run(
    model: str,
    corpus: Corpus,
    settings: EvaluationSettings,
    output: Path,
    device: str | None = None,
    precision: Precision = "fp32",
    quiet: bool = False,
    cache: CacheMode = "temporary",
    cascade_lora: Path | None = None,
) -> Results:
    """Loads, evaluates, writes results and page, prints the table."""
    from speechverse.evaluation.into_folder import evaluate_into
    from speechverse.pipeline import SpeechVerse

    loaded = SpeechVerse.from_pretrained(model, device, precision)
    how: dict[str, Any] = {"cache": cache, "reader_lora": cascade_lora, "tell": _tell}
    with progress(quiet) as watch:
        results = evaluate_into(output, loaded, model, corpus, settings, **how, watch=watch)
    if not quiet:
        _show(results, output)
    return results


def _tell(line: str) -> None:
    typer.echo(line, err=True)


def _show(results: Results, output: Path) -> None:
    from rich.console import Console

    from speechverse.evaluation import cost_table, not_measured_table, results_table

    console = Console()
    console.print(results_table(results))
    console.print(cost_table(results))
    if (left_out := not_measured_table(results)) is not None:
        console.print(left_out)
    for note in (*results.left_out, *results.notes):
        console.print(note, style="dim", markup=False, highlight=False, soft_wrap=True)
    typer.echo(f"results {output / 'results.json'}\npage    {output / 'report.html'}")
