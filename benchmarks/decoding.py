"""Decoding: batches against one by one, and scoring labels against writing them
under a constraint.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import Claim, Repeat, Side, Took, lacks_parts


def _answering(folder: Path, task: str, limit: int, **options: Any) -> Repeat:
    """Answers the first clips of the world, loading and hearing them included."""
    from benchmarks import material
    from speechverse.data import render_for_evaluation
    from speechverse.decoding import DecodingOptions, answer

    model, processor = material.model()
    examples = render_for_evaluation(material.world(folder), "train", task, limit=limit)
    chosen = DecodingOptions(max_new_tokens=24, **options)
    facts = {"on": material.MODEL, "labels": len(examples[0].choices or ())}

    def repeat() -> Took:
        began = time.perf_counter()
        answers = answer(model, processor, examples, chosen)
        seconds = time.perf_counter() - began
        return Took(seconds, len(answers), facts, tuple(answer.text for answer in answers))

    return repeat


def _labels(task: str) -> Claim:
    ours, theirs = (
        partial(_answering, task=task, limit=48, choice_mode=mode)
        for mode in ("score", "constrain")
    )
    title = f"task {task}: scoring every label against constrained generation, in the same batches"
    sides = Side("label scoring", ours), Side("constrained generation", theirs)
    return Claim(title, *sides, "answers/s", lacks=lacks_parts)


_BATCHES = Side("batches of up to 64", partial(_answering, task="asr", limit=32))
_SINGLY = Side("one by one", partial(_answering, task="asr", limit=32, max_batch=1))
CLAIMS = (
    Claim(
        "transcripts answered in batches against one by one",
        _BATCHES,
        _SINGLY,
        "answers/s",
        repetitions=3,
        lacks=lacks_parts,
    ),
    _labels("er"),
    _labels("ic"),
)
