"""What several verbs do alike: open a corpus, show progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from speechverse.errors import UserError

if TYPE_CHECKING:
    from speechverse.data import Corpus
    from speechverse.progress import Watch


def open_corpus(path: Path, split: str, *, faulty_too: bool = False) -> Corpus:
    """A corpus folder, or a plain JSONL file as the one split asked for; `faulty_too` lets every
    clip be unreadable or missing.
    """
    from speechverse.data import Corpus
    from speechverse.evaluation.encoded_clips import MAX_BAD_SHARE_OF_TASK

    share = 1.0 if faulty_too else MAX_BAD_SHARE_OF_TASK
    if path.is_dir():
        return Corpus.open(path, missing_too=faulty_too)
    if path.is_file():
        return Corpus.from_jsonl(
            path.stem, {split: path}, max_bad_share=share, missing_too=faulty_too
        )
    raise UserError(
        f"there is no corpus '{path}'; give a folder that `speechverse synth` made, or a JSONL file"
    )


@contextmanager
def progress(quiet: bool) -> Iterator[Watch]:
    """What long work of several parts tells its progress to."""
    from speechverse.terminal import Progress

    with Progress("loading", 1, quiet=quiet) as shown:
        yield shown.begin
