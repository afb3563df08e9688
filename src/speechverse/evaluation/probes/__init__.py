"""What each layer of an encoder lets a linear classifier tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speechverse.encoders import SpeechEncoder
from speechverse.errors import CorpusError
from speechverse.evaluation.linear import fit_linear
from speechverse.evaluation.probes.pooling import pool_layers
from speechverse.evaluation.probes.questions import Question, ask_everything
from speechverse.evaluation.probes.table import ProbeColumn, ProbeTable
from speechverse.metrics import Interval, bootstrap, get_metric
from speechverse.progress import Advance, ignore
from speechverse.seeding import rng_for
from speechverse.types import Utterance

__all__ = ["ProbeColumn", "ProbeTable", "pool_layers", "probe_encoder"]

PENALTIES = (1e-1, 1e-2, 1e-3)
"""Weights of the squared coefficients beside the mean loss, to choose from."""


def probe_encoder(
    encoder: SpeechEncoder,
    fit: Sequence[Utterance],
    test: Sequence[Utterance],
    *,
    name: str = "encoder",
    progress: Advance = ignore,
) -> ProbeTable:
    """Fits a linear probe a layer and question on some voices and tests it on others.

    A clip is the mean and the deviation of its true frames. Speakers are told apart among those of
    `test`, half of each one's clips to fit, sentences apart.

    Args:
        encoder: On the device to compute on.
        fit: Clips whose voices are fitted on.
        test: Clips of other voices and other sentences.

    Raises:
        CorpusError: If there are no clips to fit on or to test on, or no question can be asked of
            them.
        AudioError: If a clip cannot be read, or the encoder cannot take it.
        MissingExtraError: If scikit-learn is not installed.
    """
    if not fit or not test:
        raise CorpusError(
            "a probe needs clips to fit on and clips of other voices to test on; one of the two is"
            " empty"
        )
    questions, skipped = ask_everything(dict(enumerate(fit)), dict(enumerate(test, len(fit))))
    if not questions:
        told = "; ".join(f"{key}: {reason}" for key, reason in skipped.items())
        raise CorpusError(f"nothing can be probed with these clips ({told})")
    pooled = pool_layers(encoder, [*fit, *test], progress=progress)
    layers = [layer.numpy() for layer in pooled]
    return ProbeTable(name, tuple(_column(question, layers) for question in questions), skipped)


def _column(question: Question, layers: Sequence[np.ndarray]) -> ProbeColumn:
    return ProbeColumn(
        name=question.name,
        metric=get_metric("uar").label,
        chance=question.chance,
        num_answers=len(set(question.answers.values())),
        num_fit=len(question.fit),
        num_test=len(question.test),
        scores=tuple(_score(question, layer) for layer in layers),
    )


def _score(question: Question, features: np.ndarray) -> Interval:
    def predict(fit: Sequence[int], test: Sequence[int], penalty: float) -> list[str]:
        probe = fit_linear(features[list(fit)], question.answers_of(fit), penalty)
        return list(probe.predict(features[list(test)]))

    penalty = PENALTIES[1]
    fit, held = _hold_out(question)
    true = question.answers_of(held)
    if min(len(set(answers)) for answers in (question.answers_of(fit), true)) > 1:
        uar = get_metric("uar").value
        penalty = max(PENALTIES, key=lambda penalty: uar(predict(fit, held, penalty), true))
    predictions = predict(question.fit, question.test, penalty)
    return bootstrap("uar", predictions, question.answers_of(question.test))


def _hold_out(question: Question) -> tuple[list[int], list[int]]:
    """Rows to fit on, and those of a quarter of the groups, on which the penalty is chosen."""
    groups = sorted({question.groups[row] for row in question.fit})
    aside = set(rng_for(0, "probe", question.name).sample(groups, -(-len(groups) // 4)))
    held = [row for row in question.fit if question.groups[row] in aside]
    return [row for row in question.fit if question.groups[row] not in aside], held
