"""An evaluation as a whole in one folder: results, answers and page, gone on with where it was
stopped.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from speechverse.data import Corpus
from speechverse.data.cache import CacheDiskError, CacheTooLargeError, encoder_fingerprint
from speechverse.errors import UserError
from speechverse.evaluation.clips import Watch
from speechverse.evaluation.journal import Journal, answers_kept
from speechverse.evaluation.provenance import describe, find_recogniser, find_whisper, training_log
from speechverse.evaluation.report import write_report
from speechverse.evaluation.results import Results
from speechverse.evaluation.runner import EvaluationSettings, evaluate
from speechverse.evaluation.systems import CtcCascade, TunedWhisperCascade, WhisperCascade

if TYPE_CHECKING:
    from speechverse.pipeline import SpeechVerse

CacheMode = Literal["temporary", "keep", "none"]
Tell = Callable[[str], None]


def evaluate_into(
    output: Path,
    loaded: SpeechVerse,
    name: str,
    corpus: Corpus,
    settings: EvaluationSettings,
    *,
    cache: CacheMode = "temporary",
    reader_lora: Path | None = None,
    watch: Watch = lambda done, total, what: None,
    tell: Tell = lambda line: None,
) -> Results:
    """Evaluates a loaded model and writes results, answers and page into a folder.

    Args:
        output: The folder.
        loaded: The model.
        name: The name or folder it was loaded by.
        corpus: Where the clips are.
        settings: What to evaluate.
        cache: Whether what the encoder hears is kept in the folder until all is answered, for good,
            or not at all. A temporary cache that would not fit the disk is done without.
        reader_lora: Folder of a LoRA that reads transcripts, for the cascades that are tuned.
        watch: Told of progress.
        tell: Told, in a line, what the user should know.

    Raises:
        UserError: If the folder cannot be written to, or another run evaluates into it.
        CacheError: If the cache that was asked for cannot be kept.
    """
    _check_writable(output)
    recognisers = _recognisers(loaded.model, settings, tell)
    about_model = describe(loaded.model, name)
    with _kept_answers(output, tell) as journal:

        def measure(features: Path | None) -> Results:
            how: dict[str, Any] = {
                "output": output,
                "features": features,
                "reader_lora": reader_lora,
                **recognisers,
            }
            how |= {"about_model": about_model, "watch": watch, "journal": journal}
            return evaluate(loaded.model, loaded.processor, corpus, settings, **how)

        results = _with_room(measure, output, cache, loaded.model.encoder, tell)
        write_report(output, training_log(name))
    return results


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


def _recognisers(model: Any, settings: EvaluationSettings, tell: Tell) -> dict[str, Any]:
    """The recognisers that some system wants; others would be loaded for nothing."""
    found: dict[str, Any] = {}
    finders = (
        ("recogniser", find_recogniser, (CtcCascade,)),
        ("whisper", find_whisper, (WhisperCascade, TunedWhisperCascade)),
    )
    for what, find, systems in finders:
        if names := [system.name for system in systems if system.name in settings.systems]:
            found[what], why_none = find(model)
            if why_none:
                tell(f"{' and '.join(names)} is left out: {why_none}")
    return found


@contextmanager
def _kept_answers(output: Path, tell: Tell) -> Iterator[Journal]:
    """The answers made so far, kept until results and page are written; says so
    when they are not.
    """
    with answers_kept(output) as journal:
        if journal.num_found:
            tell(
                f"going on: {journal.num_found:,} answers of a run that did not end are in"
                f" '{output}'"
            )
        try:
            yield journal
        except BaseException:
            if journal.kept:
                told = f"{len(journal.kept):,} answers made so far are kept in '{journal.path}'"
                tell(f"{told}; the same command goes on from them")
            raise


def _with_room(
    measure: Callable[[Path | None], Results],
    output: Path,
    cache: CacheMode,
    encoder: Any,
    tell: Tell,
) -> Results:
    """Measures with a cache as asked for, or with none if nobody asked for one and it would not fit
    the disk.
    """
    try:
        with _features_folder(output, cache, encoder) as features:
            return measure(features)
    except CacheDiskError as error:
        if cache != "temporary" or not isinstance(error, CacheTooLargeError):
            raise CacheDiskError(f"{error} (here: with --output, or --cache none)") from error
        tell(f"each clip is heard anew for every answer, as with --cache none: {error.reason}")
    return measure(None)


@contextmanager
def _features_folder(output: Path, cache: CacheMode, encoder: Any) -> Iterator[Path | None]:
    """Where encoder outputs are kept: beside the results, as a system's own temporary folder is
    often memory.

    The temporary one has a fixed name, so that what a killed run left is gone on with, not left
    lying beside another.
    """
    if cache != "temporary":
        yield output / "features" if cache == "keep" else None
        return
    folder = output / ".features"
    own = folder / encoder_fingerprint(encoder, encoder.model.dtype)[:16]
    try:
        for other in folder.glob("*"):  # left by killed runs of other encoders
            if other != own:
                shutil.rmtree(other, ignore_errors=True)
        yield own
    finally:
        shutil.rmtree(folder, ignore_errors=True)
