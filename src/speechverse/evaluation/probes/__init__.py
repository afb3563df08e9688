"""What each layer of an encoder lets a linear classifier tell: emotion, accent,
speakers, speech.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from speechverse.encoders import SpeechEncoder
from speechverse.errors import CorpusError
from speechverse.evaluation.linear import fit_linear
from speechverse.evaluation.probes.pooling import pool_layers
from speechverse.evaluation.probes.questions import Question, ask_everything
from speechverse.evaluation.probes.table import ProbeColumn, ProbeTable
from speechverse.metrics import Interval, bootstrap, get_metric
from speechverse.seeding import rng_for
from speechverse.types import Seconds, Utterance

__all__ = ["ProbeColumn", "ProbeTable", "pool_layers", "probe_encoder"]

PENALTIES = (1e-1, 1e-2, 1e-3)
"""Weights of the squared coefficients beside the mean loss, to choose from."""


def probe_encoder(
    encoder: SpeechEncoder,
    fit: Sequence[Utterance],
    test: Sequence[Utterance],
    *,
    name: str = "encoder",
    batch_seconds: Seconds = 60.0,
    done: Callable[[int], None] = lambda clips: None,
) -> ProbeTable:
    """Fits a linear probe a layer and question on some voices and tests it on others.

    A clip is the mean and the deviation of its true frames. Speakers are told apart among those of
    `test`, half of each one's clips to fit, sentences apart.

    Args:
        encoder: Behind the contract, on the device to compute on.
        fit: Clips whose voices are fitted on.
        test: Clips of other voices and other sentences.
        name: What the table calls the encoder.
        batch_seconds: Padded seconds of a batch; changes the speed only.
        done: Told of every batch's clips.

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
    layers = [layer.numpy() for layer in pool_layers(encoder, [*fit, *test], batch_seconds, done)]
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
    def told(fit: Sequence[int], test: Sequence[int], penalty: float) -> list[str]:
        probe = fit_linear(features[list(fit)], [question.answers[row] for row in fit], penalty)
        return list(probe.predict(features[list(test)]))

    penalty = PENALTIES[1]
    fit, held = _set_aside(question)
    if min(len({question.answers[row] for row in rows}) for rows in (fit, held)) > 1:
        true = [question.answers[row] for row in held]
        penalty = max(
            PENALTIES, key=lambda penalty: get_metric("uar").value(told(fit, held, penalty), true)
        )
    return bootstrap(
        "uar",
        told(question.fit, question.test, penalty),
        [question.answers[row] for row in question.test],
    )


def _set_aside(question: Question) -> tuple[list[int], list[int]]:
    """Rows to fit on, and those of a quarter of the groups, on which the penalty is chosen."""
    groups = sorted({question.groups[row] for row in question.fit})
    aside = set(rng_for(0, "probe", question.name).sample(groups, -(-len(groups) // 4)))
    fit, held = (
        [row for row in question.fit if (question.groups[row] in aside) is side]
        for side in (False, True)
    )
    return fit, held
