"""What each layer of an encoder lets a linear classifier tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speechverse.encoders import SpeechEncoder
from speechverse.errors import CorpusError
from speechverse.evaluation.linear import fit_linear
from speechverse.evaluation.probes.pooling import pool_layers
from speechverse.evaluation.probes.probe_table import ProbeColumn, ProbeTable
from speechverse.evaluation.probes.targets import Target, find_targets
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
    """Fits a linear probe a layer and target on some voices and tests it on others.

    A clip is the mean and the deviation of its true frames. Speakers are told apart among those of
    `test`, half of each one's clips to fit, sentences apart.

    Args:
        encoder: On the device to compute on.
        fit: Clips whose voices are fitted on.
        test: Clips of other voices and other sentences.

    Raises:
        CorpusError: If there are no clips to fit on or to test on, or they have labels
            for no target.
        AudioError: If a clip cannot be read, or the encoder cannot take it.
        MissingExtraError: If scikit-learn is not installed.
    """
    if not fit or not test:
        raise CorpusError(
            "a probe needs clips to fit on and clips of other voices to test on; one of the two is"
            " empty"
        )
    targets, skipped = find_targets(dict(enumerate(fit)), dict(enumerate(test, len(fit))))
    if not targets:
        told = "; ".join(f"{key}: {reason}" for key, reason in skipped.items())
        raise CorpusError(f"nothing can be probed with these clips ({told})")
    pooled = pool_layers(encoder, [*fit, *test], progress=progress)
    layers = [layer.numpy() for layer in pooled]
    return ProbeTable(name, tuple(_column(target, layers) for target in targets), skipped)


def _column(target: Target, layers: Sequence[np.ndarray]) -> ProbeColumn:
    return ProbeColumn(
        name=target.name,
        metric=get_metric("uar").label,
        chance=target.chance,
        num_answers=len(set(target.answers_of((*target.fit, *target.test)))),
        num_fit=len(target.fit),
        num_test=len(target.test),
        scores=tuple(_score(target, layer) for layer in layers),
    )


def _score(target: Target, features: np.ndarray) -> Interval:
    def predict(fit: Sequence[int], test: Sequence[int], penalty: float) -> list[str]:
        probe = fit_linear(features[list(fit)], target.answers_of(fit), penalty)
        return list(probe.predict(features[list(test)]))

    penalty = PENALTIES[1]
    fit, held = _hold_out(target)
    true = target.answers_of(held)
    if min(len(set(answers)) for answers in (target.answers_of(fit), true)) > 1:
        uar = get_metric("uar").value
        penalty = max(PENALTIES, key=lambda penalty: uar(predict(fit, held, penalty), true))
    predictions = predict(target.fit, target.test, penalty)
    return bootstrap("uar", predictions, target.answers_of(target.test))


def _hold_out(target: Target) -> tuple[list[int], list[int]]:
    """Rows to fit on, and those of a quarter of the groups, on which the penalty is chosen."""
    groups = sorted({target.groups[row] for row in target.fit})
    aside = set(rng_for(0, "probe", target.name).sample(groups, -(-len(groups) // 4)))
    held = [row for row in target.fit if target.groups[row] in aside]
    return [row for row in target.fit if target.groups[row] not in aside], held
