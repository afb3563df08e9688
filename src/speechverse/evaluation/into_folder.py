"""An evaluation as a whole in one folder: results, answers and page, gone on with where it was
stopped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechverse.data import Corpus
from speechverse.data.cache import CacheDiskError, CacheTooLargeError, encoder_fingerprint
from speechverse.decoding.options import NO_MATTER
from speechverse.device import dtype_of
from speechverse.errors import UserError
from speechverse.evaluation import ledger
from speechverse.evaluation.journal import Tell, keep_answers
from speechverse.evaluation.provenance import (
    checkpoint_fingerprint,
    describe,
    describe_split,
    training_log,
)
from speechverse.evaluation.report import write_report
from speechverse.evaluation.results import RESULTS, Results, in_words, load_results
from speechverse.evaluation.runner import EvaluationSettings, evaluate
from speechverse.files import make_folder
from speechverse.progress import Watch, watch_nothing
from speechverse.types import CacheMode, Precision

if TYPE_CHECKING:
    from speechverse.encoders import SpeechEncoder
    from speechverse.pipeline import SpeechVerse


def evaluate_into(
    output: Path,
    loaded: SpeechVerse,
    name: str,
    corpus: Corpus,
    settings: EvaluationSettings,
    *,
    cache: CacheMode = "temporary",
    reader_lora: Path | None = None,
    watch: Watch = watch_nothing,
    tell: Tell = lambda line: None,
) -> Results:
    """Evaluates a loaded model and writes results, answers and page into a folder.

    Args:
        name: The name or folder it was loaded by.
        cache: Whether encoder outputs are kept in the folder until all is answered, for good, or
            not at all. A temporary cache that would not fit the disk is done without.
        reader_lora: Folder of a LoRA that reads transcripts, for the cascades that are tuned.

    Raises:
        UserError: If the folder cannot be written to, or another run evaluates into it.
        CacheError: If the cache that was asked for cannot be kept.
    """
    make_folder(output)
    about_model = describe(loaded.model, name)
    with keep_answers(output, tell) as journal:
        measure = partial(
            evaluate,
            *(loaded.model, loaded.processor, corpus, settings),
            output=output,
            reader_lora=reader_lora,
            about_model=about_model,
            watch=watch,
            journal=journal,
            tell=tell,
        )
        results = _measure_with_cache(measure, output, cache, loaded.model.encoder, tell)
        write_report(output, training_log(name))
    if told := ledger.record(results):
        tell(told)
    return results


def what_differs(
    output: Path,
    name: str,
    corpus: Corpus,
    settings: EvaluationSettings,
    precision: Precision = "fp32",
) -> str:
    """What the results in a folder are of that an evaluation is not, in words; empty if nothing, or
    where there are none.

    Args:
        precision: Of the encoder and the LLM.
    """
    if not (output / RESULTS).exists():
        return ""
    try:
        found = load_results(output)
    except UserError:
        return "which cannot be read"
    now = _asked(
        {
            "fingerprint": checkpoint_fingerprint(name),
            "precision": str(dtype_of(precision)).removeprefix("torch."),
        },
        describe_split(corpus, settings.split),
        json.loads(json.dumps(settings.as_dict())),
    )
    then = _asked(found.model, found.corpus, found.settings)
    return in_words([f"other {key}" for key in now if now[key] != then.get(key)])


def _asked(
    model: Mapping[str, Any], corpus: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    decoding = {k: v for k, v in settings.get("decoding", {}).items() if k not in NO_MATTER}
    about = {"model": model.get("fingerprint"), "precision": model.get("precision")}
    return {**about, "corpus": corpus, **settings, "decoding": decoding}


def _measure_with_cache(
    measure: Callable[..., Results],
    output: Path,
    cache: CacheMode,
    encoder: SpeechEncoder,
    tell: Tell,
) -> Results:
    """With none in the end if nobody asked for one and it would not fit the disk."""
    try:
        with _features_folder(output, cache, encoder) as features:
            return measure(features=features)
    except CacheDiskError as error:
        if cache != "temporary" or not isinstance(error, CacheTooLargeError):
            raise CacheDiskError(f"{error} (here: with --output, or --cache none)") from error
        tell(f"each clip is encoded anew for every answer, as with --cache none: {error.reason}")
    return measure(features=None)


@contextmanager
def _features_folder(
    output: Path, cache: CacheMode, encoder: SpeechEncoder
) -> Iterator[Path | None]:
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
