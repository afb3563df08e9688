"""Decoding: batches against one by one, whole answers and tokens alone, and scoring labels
against writing them under a constraint.
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


def _choosing(folder: Path, num_labels: int, mode: str, singly: bool = False) -> Repeat:
    """Chooses for 16 clips among so many labels, all in the same words, hearing included.

    Args:
        mode: As `DecodingOptions.choice_mode`.
        singly: Whether scoring goes as for an LLM that takes no trees.
    """
    from benchmarks import material
    from speechverse.decoding import DecodingOptions, answer_questions, scoring
    from speechverse.types import Answer

    if singly:
        scoring._takes_trees = lambda *_: False
    model, processor = material.model()
    questions = material.questions(folder, processor, _CLIPS, num_labels)
    spelt = [processor.encode_target(label) for label in material.labels(num_labels)]
    prompts = sum(question.num_positions for question in questions)

    def positions(answers: list[Answer]) -> int:
        """Of the LLM, padding aside: what is computed, and so how fast it can be at all."""
        if mode == "constrain":
            behind = max(len(processor.encode_target(one.text)) for one in answers) - 1
        elif singly:
            behind = sum(len(tokens) - 1 for tokens in spelt)
        else:
            behind = len({tuple(tokens[:n]) for tokens in spelt for n in range(1, len(tokens))})
        return prompts + _CLIPS * behind

    def repeat() -> Took:
        began = time.perf_counter()
        answers = answer_questions(model, processor, questions, DecodingOptions(choice_mode=mode))
        seconds = time.perf_counter() - began
        facts = {"positions": positions(answers)}
        return Took(seconds, _CLIPS, facts, tuple(answer.text for answer in answers))

    return repeat


def _writing(folder: Path, at_once: int) -> Repeat:
    """Tokens alone behind the prompts of 16 clips, audio heard before: what `generate` takes for
    24 of every row, less what it takes for the first, which is the prompt's.
    """
    import torch

    from benchmarks import material
    from speechverse.decoding.questions import inputs_of

    model, processor = material.model()
    questions = material.questions(folder, processor, _CLIPS)
    groups = [
        inputs_of(processor, questions[start : start + at_once])
        for start in range(0, _CLIPS, at_once)
    ]
    with torch.inference_mode():
        for inputs in groups:
            inputs["encoder_output"] = model.encode(inputs.pop("audio_inputs"))

    def seconds(tokens: int) -> float:
        began = time.perf_counter()
        for inputs in groups:
            model.generate(**inputs, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False)
        return time.perf_counter() - began

    def repeat() -> Took:
        prompts, whole = seconds(1), seconds(_TOKENS)
        facts = {"prompts' share": f"{prompts / whole:.0%}"}
        return Took(whole - prompts, _CLIPS * (_TOKENS - 1), facts)

    return repeat


_CLIPS, _TOKENS = 16, 24


def _labels(num: int, must: float) -> Claim:
    scored, constrained = (
        Side(label, partial(_choosing, num_labels=num, mode=mode))
        for label, mode in (("scoring", "score"), ("constrained generation", "constrain"))
    )
    title = f"{_CLIPS} clips, {num} labels: scoring all against writing one (must: {must:g})"
    return Claim(title, scored, constrained, "answers/s", 7, lacks_parts)


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
    _labels(4, 0.9),
    _labels(20, 0.8),
    _labels(60, 0.6),
    Claim(
        f"{_CLIPS} clips, 4 labels: all labels in one pass against one after the other (must: 1.1)",
        Side("in one pass", partial(_choosing, num_labels=4, mode="score")),
        Side("one after the other", partial(_choosing, num_labels=4, mode="score", singly=True)),
        "answers/s",
        7,
        lacks_parts,
    ),
    Claim(
        f"{_CLIPS} clips, tokens alone: side by side against one clip after another (must: 4)",
        Side(f"{_CLIPS} rows side by side", partial(_writing, at_once=_CLIPS)),
        Side("one row after another", partial(_writing, at_once=1)),
        "tokens/s",
        repetitions=3,
        lacks=lacks_parts,
    ),
)
