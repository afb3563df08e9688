"""`speechverse evaluate`: scores of a model and of the systems beside it, with intervals, a table and a page."""

from __future__ import annotations

import json as json_format
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from speechverse.cli.offline import Offline
from speechverse.errors import UserError

if TYPE_CHECKING:
    from speechverse.data import Corpus
    from speechverse.encoders import SpeechEncoder
    from speechverse.evaluation import EvaluationSettings, Results, System
    from speechverse.evaluation.clips import Watch
    from speechverse.evaluation.journal import Journal

CacheMode = Literal["temporary", "keep", "none"]


def command(
    model: Annotated[str, typer.Argument(help="A run's folder, a checkpoint, or a built-in name.")] = "small",
    corpus: Annotated[
        Path | None,
        typer.Option(help="A corpus folder or a JSONL file; without it, all is as the run's recipe evaluates."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Which split of it. By default test.")] = None,
    training_corpus: Annotated[
        Path | None,
        typer.Option(help="Whose split train the specialist, log-mel and majority know; by default the corpus' own."),
    ] = None,
    tasks: Annotated[
        str | None, typer.Option(help="Tasks, with commas between, or 'all' that have labels. By default all.")
    ] = None,
    systems: Annotated[str | None, typer.Option(help="Systems, with commas between. By default all six.")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="Utterances a task; 0 takes all. By default 300.")] = None,
    held_out: Annotated[
        bool | None, typer.Option("--held-out/--seen", help="Ask in instructions the model never saw, or seen ones.")
    ] = None,
    choices: Annotated[str | None, typer.Option(help="How closed sets are answered: constrain, score, free.")] = None,
    scoring: Annotated[str | None, typer.Option(help="What '--choices score' compares: raw, length, prior.")] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="The most tokens of a free answer. By default 8 for each second of audio, and 32."),
    ] = None,
    beams: Annotated[int | None, typer.Option(min=1, help="Beams; 1 is greedy.")] = None,
    cascade_lora: Annotated[
        Path | None,
        typer.Option(help="LoRA that reads transcripts, for the tuned cascades: the folder 'lora' of a run of theirs."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the choice of utterances and instructions, and of the bootstrap.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda:1, ...; by default a GPU where there is one.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results and the page.")] = Path(
        "evaluation"
    ),
    cache: Annotated[
        CacheMode,
        typer.Option(
            help="What the encoder hears is kept in the output folder until all is answered; 'keep' leaves it there in "
            "'features', 'none' hears each clip anew for every answer and needs no space, as is done by default where "
            "there is too little."
        ),
    ] = "temporary",
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON, and no progress.")] = False,
    offline: Offline = False,
) -> None:
    """Evaluate a model on labelled clips, with cascades, an oracle and the majority class beside it.

    [bold]Examples[/bold]

      speechverse evaluate runs/my --corpus my-world --output runs/my/evaluation

      speechverse evaluate small --corpus digits.jsonl --tasks asr --systems speechverse,cascade-whisper --json
    """
    from speechverse.decoding import DecodingOptions
    from speechverse.evaluation import EvaluationSettings

    decoding = _given(max_new_tokens=max_new_tokens, num_beams=beams, choice_mode=choices, choice_scoring=scoring)
    asked = _given(
        split=split,
        tasks=tasks if tasks in (None, "all") else _listed(tasks),
        systems=None if systems is None else _listed(systems),
        wording=None if held_out is None else ("held_out" if held_out else "seen"),
        limit=limit,
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
    settings = EvaluationSettings(**asked, seed=seed, decoding=DecodingOptions(**decoding))
    results = run(model, opened, settings, output, device=device, quiet=json, cache=cache, cascade_lora=cascade_lora)
    if json:
        from speechverse.evaluation.results import as_plain

        typer.echo(json_format.dumps({"output": str(output), **as_plain(results)}))


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _of_recipe(model: str) -> tuple[Corpus, dict[str, Any], dict[str, Any]]:
    """The corpus, the settings and the decoding that the recipe beside a model evaluates with."""
    from speechverse.training.recipe_files import load_recipe
    from speechverse.training.sources import Sources

    path = Path(model) / "recipe.yaml"
    recipe = load_recipe(path) if path.is_file() else None
    if recipe is None or recipe.evaluation is None:
        raise UserError(f"'{model}' has no recipe with a section 'evaluation'; name a corpus with --corpus")
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
    quiet: bool = False,
    cache: CacheMode = "temporary",
    cascade_lora: Path | None = None,
) -> Results:
    """Loads, evaluates, writes results and page, prints the table."""
    from speechverse.evaluation import evaluate, write_report
    from speechverse.evaluation.provenance import describe, find_recogniser, find_whisper, training_log
    from speechverse.evaluation.systems import CtcCascade, TunedWhisperCascade, WhisperCascade
    from speechverse.pipeline import SpeechVerse

    loaded = SpeechVerse.from_pretrained(model, device)

    def found(find: Callable[[Any], tuple[Any, str]], *systems: type[System]) -> Any:
        """A recogniser that some system wants; else a second encoder would be loaded for nothing."""
        names = [kind.name for kind in systems if kind.name in settings.systems]
        recogniser, why_none = find(loaded.model) if names else (None, "")
        if why_none and not quiet:
            typer.echo(f"{' and '.join(names)} is left out: {why_none}", err=True)
        return recogniser

    recogniser = found(find_recogniser, CtcCascade)
    whisper = found(find_whisper, WhisperCascade, TunedWhisperCascade)

    with _answers_kept(output, quiet) as journal:

        def measure(features: Path | None) -> Results:
            with progress(quiet) as watch:
                return evaluate(
                    loaded.model,
                    loaded.processor,
                    corpus,
                    settings,
                    output=output,
                    features=features,
                    recogniser=recogniser,
                    whisper=whisper,
                    reader_lora=cascade_lora,
                    about_model=describe(loaded.model, model),
                    watch=watch,
                    journal=journal,
                )

        results = _with_room(measure, output, cache, loaded.model.encoder)
        page = write_report(output, training_log(model))
    if not quiet:
        _show(results, output, page)
    return results


@contextmanager
def _answers_kept(output: Path, quiet: bool) -> Iterator[Journal]:
    """The answers made so far, kept until results and page are written; says so when they are not."""
    from speechverse.evaluation.journal import answers_kept

    _check_writable(output)
    with answers_kept(output) as journal:
        if journal.num_found and not quiet:
            typer.echo(f"going on: {journal.num_found:,} answers of a run that did not end are in '{output}'", err=True)
        try:
            yield journal
        except BaseException:
            if journal.kept:
                told = f"{len(journal.kept):,} answers made so far are kept in '{journal.path}'"
                typer.echo(f"{told}; the same command goes on from them", err=True)
            raise


def _check_writable(output: Path) -> None:
    """Refuses a folder before hours of answering that nothing could be written to afterwards."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write to the output folder '{output}' ({error}); choose another with --output"
        ) from error


def _show(results: Results, output: Path, page: Path) -> None:
    from rich.console import Console

    from speechverse.evaluation import not_measured_table, results_table

    console = Console()
    console.print(results_table(results))
    if (left_out := not_measured_table(results)) is not None:
        console.print(left_out)
    for note in (*results.left_out, *results.notes):
        console.print(note, style="dim", markup=False, highlight=False, soft_wrap=True)
    typer.echo(f"results {output / 'results.json'}\npage    {page}")


def open_corpus(path: Path, split: str) -> Corpus:
    """A corpus folder, or a plain JSONL file as the one split asked for."""
    from speechverse.data import Corpus
    from speechverse.evaluation.clips import MAX_BAD_SHARE

    if path.is_dir():
        return Corpus.open(path)
    if path.is_file():
        return Corpus.from_jsonl(path.stem, {split: path}, max_bad_share=MAX_BAD_SHARE)
    raise UserError(f"there is no corpus '{path}'; give a folder that `speechverse synth` made, or a JSONL file")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _with_room(
    measure: Callable[[Path | None], Results], output: Path, cache: CacheMode, encoder: SpeechEncoder
) -> Results:
    """Measures with a cache as asked for, or with none if nobody asked for one and it would not fit the disk."""
    from speechverse.data.cache import CacheDiskError, CacheTooLargeError

    try:
        with _features_folder(output, cache, encoder) as features:
            return measure(features)
    except CacheDiskError as error:
        if cache != "temporary" or not isinstance(error, CacheTooLargeError):
            raise CacheDiskError(f"{error} (here: with --output, or --cache none)") from error
        typer.echo(f"each clip is heard anew for every answer, as with --cache none: {error.reason}", err=True)
    return measure(None)


@contextmanager
def _features_folder(output: Path, cache: CacheMode, encoder: SpeechEncoder) -> Iterator[Path | None]:
    """Where encoder outputs are kept: beside the results, as a system's own temporary folder is often memory.

    The temporary one has a fixed name, so that what a killed run left is gone on with, not left lying beside another.
    """
    from speechverse.data.cache import encoder_fingerprint
    from speechverse.files import only_run_in

    if cache != "temporary":
        yield output / "features" if cache == "keep" else None
        return
    folder = output / ".features"
    with ExitStack() as held:
        held.enter_context(only_run_in(folder, "keeping encoder outputs in"))
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        own = folder / encoder_fingerprint(encoder, encoder.model.dtype)[:16]
        for other in folder.iterdir():  # left by killed runs of other encoders
            if other.is_dir() and other != own:
                shutil.rmtree(other, ignore_errors=True)
        yield own


@contextmanager
def progress(quiet: bool) -> Iterator[Watch]:
    """What long work of several parts tells its progress to."""
    from speechverse.training.logs import Progress

    with Progress("loading", 1, quiet=quiet) as shown:
        yield shown.watch
