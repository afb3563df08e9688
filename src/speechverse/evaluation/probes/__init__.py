"""What each layer of an encoder lets a linear classifier tell: emotion, accent, speakers, speech, words, digits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from speechverse.encoders import SpeechEncoder
from speechverse.errors import CorpusError
from speechverse.evaluation.probes.linear import choose_penalty, fit_probe
from speechverse.evaluation.probes.pooling import pool_layers
from speechverse.evaluation.probes.questions import DIGITS, Question, ask_everything
from speechverse.evaluation.probes.table import ProbeColumn, ProbeTable
from speechverse.metrics import Interval, bootstrap
from speechverse.types import Seconds, Utterance

__all__ = ["ProbeColumn", "ProbeTable", "digit_clips", "pool_layers", "probe_encoder"]


def probe_encoder(
    encoder: SpeechEncoder,
    fit: Sequence[Utterance],
    test: Sequence[Utterance],
    *,
    digits: Sequence[Utterance] = (),
    name: str = "encoder",
    batch_seconds: Seconds = 60.0,
    done: Callable[[int], None] = lambda clips: None,
) -> ProbeTable:
    """Fits a linear probe a layer and question on some voices and tests it on others.

    A clip is the mean and the deviation of its true frames. Probes weigh all classes alike; how strongly their
    coefficients are held down is chosen on a quarter of the fitted voices. Speakers are told apart among those of
    `test`, half of each one's clips to fit, sentences apart; digits with one speaker tested on the others, in turn.

    Args:
        encoder: Behind the contract, on the device to compute on.
        fit: Clips whose voices are fitted on.
        test: Clips of other voices and other sentences.
        digits: Clips of people saying one digit each (see `digit_clips`).
        name: What the table calls the encoder.
        batch_seconds: Padded seconds of a batch; changes the speed only.
        done: Told of every batch's clips.

    Raises:
        CorpusError: If there are no clips to fit on or to test on, or no question can be asked of them.
        AudioError: If a clip cannot be read, or the encoder cannot take it.
    """
    if not fit or not test:
        raise CorpusError("a probe needs clips to fit on and clips of other voices to test on; one of the two is empty")
    questions, skipped = ask_everything(
        dict(enumerate(fit)), dict(enumerate(test, len(fit))), dict(enumerate(digits, len(fit) + len(test)))
    )
    if not questions:
        told = "; ".join(f"{key}: {reason}" for key, reason in skipped.items())
        raise CorpusError(f"nothing can be probed with these clips ({told})")
    layers = pool_layers(encoder, [*fit, *test, *digits], batch_seconds, done)
    return ProbeTable(name, tuple(_column(question, layers) for question in questions), skipped)


def digit_clips(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Those of known speakers that say one digit and nothing else.

    Raises:
        CorpusError: If fewer than two speakers do.
    """
    found = [clip for clip in utterances if clip.speaker and clip.text in DIGITS]
    if len({clip.speaker for clip in found}) < 2:
        raise CorpusError(
            "the digit probe tests one speaker on the others, but fewer than two of the manifest's speakers say digits "
            "(lines with `speaker` and a `text` from 'zero' to 'nine')"
        )
    return found


def _column(question: Question, layers: Sequence[Tensor]) -> ProbeColumn:
    return ProbeColumn(
        name=question.name,
        metric=question.metric.label,
        chance=question.chance,
        num_answers=len(question.outputs.names),
        num_fit=len(question.folds[0][0]),
        num_test=sum(len(test) for _, test in question.folds),
        scores=tuple(_score(question, layer) for layer in layers),
    )


def _score(question: Question, features: Tensor) -> Interval:
    predicted, true = [], []
    for fit, test in question.folds:
        answers = [question.answers[row] for row in fit]
        groups = [question.groups[row] for row in fit]
        seen = features[list(fit)]
        penalty = choose_penalty(seen, answers, groups, question.outputs, question.metric)
        predicted += fit_probe(seen, answers, question.outputs, penalty).predict(features[list(test)])
        true += [question.answers[row] for row in test]
    return bootstrap(question.metric, predicted, true)
