"""What each metric says of answers one can score by hand."""

from __future__ import annotations

import pytest

from speechverse.errors import UserError
from speechverse.metrics import METRICS, UNPARSED, get_metric, score

SLOTS = [(("room", "kitchen"), ("time", "now")), ()]
PERFECT = {
    "wer": ["turn on the radio", "stop"],
    "bleu": ["spiele musik", "mach das licht in der küche an"],
    "chrf": ["The bird has left its cage.", "PLAY MORE JAZZ"],
    "keyword_f1": [("radio", "kitchen"), ()],
    **dict.fromkeys(("slu_f1", "slu_f1_word", "slu_f1_char"), SLOTS),
    "sd_f1": [(("room", "kitchen"), ("room", "hall")), ()],
}

OF_OTHER_FORMS = {"requests_met", "taken_up", "ece", "coverage", "answered_accuracy"} | {
    name for name in METRICS if METRICS[name].part
}
"""Metrics whose predictions or references are no plain answers; tested where they are used."""


def value(name: str, predictions: list, references: list) -> float:
    return get_metric(name).value(predictions, references)


@pytest.mark.parametrize("name", [name for name in METRICS if name not in OF_OTHER_FORMS])
def test_right_answers_are_perfect(name: str) -> None:
    answers = PERFECT.get(name, ["yes", "no"])
    assert value(name, answers, answers) == pytest.approx(METRICS[name].perfect)


@pytest.mark.parametrize("name", [name for name in METRICS if name not in OF_OTHER_FORMS])
def test_unparsed_answers_are_as_bad_as_can_be(name: str) -> None:
    references = [answer for answer in PERFECT.get(name, ["yes", "no"]) if answer]
    worst = 1.0 if name in ("wer", "cer", "unparsed_rate") else 0.0
    assert value(name, [UNPARSED] * len(references), references) == worst


def test_wer_counts_over_all_words_after_normalising() -> None:
    assert value(
        "wer", ["Turn the radio, on!", "it's 7"], ["turn on the radio", "it is seven"]
    ) == pytest.approx(2 / 7)


def test_wer_of_a_clip_without_words_counts_what_was_invented() -> None:
    assert value("wer", ["", "stop it"], ["", "stop it"]) == 0
    assert value("wer", ["hello", "stop it"], ["", "stop it"]) == pytest.approx(1 / 2)


def test_cer_counts_letters_and_spaces_after_normalising() -> None:
    assert value("cer", ["Stop, it!", "goo"], ["stop it", "go on"]) == pytest.approx(
        (0 + 2) / (7 + 5)
    )


def test_bleu_is_sacrebleus() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    said = ["mach das licht in der halle an", "wie spät ist es in berlin", "spiele musik"]
    true = ["mach das licht in der küche an", "wie spät ist es jetzt in berlin", "spiele ein lied"]
    assert value("bleu", said, true) == pytest.approx(sacrebleu.corpus_bleu(said, [true]).score)
    assert get_metric("bleu").signature().startswith("nrefs:1|")


def test_chrf_is_sacrebleus() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    said = ["The bird left.", "PLAY SOME JAZZ", "", "cage"]
    true = ["The bird has left its cage.", "PLAY MORE JAZZ", "no", "cage"]
    assert value("chrf", said, true) == pytest.approx(sacrebleu.corpus_chrf(said, [true]).score)
    assert get_metric("chrf").signature().startswith("nrefs:1|")


def test_uar_weighs_classes_alike() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    references = ["happy"] * 6 + ["sad"] * 2 + ["angry"]
    predictions = ["happy"] * 6 + ["happy", "sad"] + ["bored"]
    assert value("uar", predictions, references) == pytest.approx((1 + 0.5 + 0) / 3)
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        expected = sklearn.balanced_accuracy_score(references, predictions)
    assert value("balanced_accuracy", predictions, references) == pytest.approx(expected)
    assert value("accuracy", predictions, references) == pytest.approx(7 / 9)


def test_keyword_f1_is_averaged_over_utterances() -> None:
    predictions = [("radio", "hall"), (), ("lamp",)]
    references = [("radio", "kitchen", "hall"), (), ()]
    assert value("keyword_f1", predictions, references) == pytest.approx((0.8 + 1 + 0) / 3)


@pytest.mark.parametrize(
    ("predicted", "true", "expected"),
    [
        # Right name, one of two words wrong: word distance 1/2; "miles davis" to "miles davies": 1
        # of 12 letters.
        (
            (("artist", "miles davies"),),
            (("artist", "miles davis"),),
            2 * 2 / (2 * 2 + 2 * (1 / 2) + 2 * (1 / 12)),
        ),
        # A wrong name is one false positive and one false negative, by word and by letter.
        (
            (("room", "kitchen"), ("date", "now")),
            (("room", "kitchen"), ("time", "now")),
            4 / (4 + 2 + 2),
        ),
        # A repeated name: each takes the nearest value that is left.
        ((("room", "hall"), ("room", "kitchen")), (("room", "kitchen"), ("room", "hall")), 1.0),
        # Missing altogether.
        ((), (("room", "kitchen"),), 0.0),
        # Three words for one: a word distance of 2, as SLURP counts it; 16 of 17 letters.
        (
            (("time", "now and for ever"),),
            (("time", "now"),),
            2 * 2 / (2 * 2 + 2 * 3 + 2 * (13 / 16)),
        ),
    ],
)
def test_slu_f1_by_hand(predicted: tuple, true: tuple, expected: float) -> None:
    assert value("slu_f1", [predicted], [true]) == pytest.approx(expected)


def test_slu_f1_by_words_and_by_characters_stand_apart() -> None:
    # One of two words wrong, which is 1 of 12 letters; a slot too many.
    predicted = (("artist", "miles davies"), ("time", "now"))
    true = (("artist", "miles davis"),)
    assert value("slu_f1_word", [predicted], [true]) == pytest.approx(2 / (2 + 1.5 + 0.5))
    assert value("slu_f1_char", [predicted], [true]) == pytest.approx(2 / (2 + 13 / 12 + 1 / 12))


def test_macro_f1_is_the_mean_over_true_classes_and_counts_false_alarms() -> None:
    predictions, references = ["a", "a", "a", UNPARSED, "c"], ["a", "a", "b", "b", "a"]
    # a: 2 right of 3 clips and 3 answers; b: none; c is nobody's class.
    assert value("macro_f1", predictions, references) == pytest.approx((4 / 6 + 0) / 2)


def test_slu_f1_sums_confusions_over_utterances() -> None:
    predictions = [(("room", "kitchen"),), (("time", "noon"),)]
    references = [(("room", "kitchen"),), (("date", "noon"), ("time", "noon"))]
    assert value("slu_f1", predictions, references) == pytest.approx(8 / (8 + 2))


def test_sd_f1_leaves_values_apart_and_counts_repeats() -> None:
    predictions, references = (
        [(("room", "hall"), ("room", "attic"))],
        [(("room", "kitchen"), ("time", "now"))],
    )
    assert value("sd_f1", predictions, references) == pytest.approx(0.5)


def test_unparsed_rate() -> None:
    assert value("unparsed_rate", ["yes", UNPARSED, "no", "no"], ["yes"] * 4) == 0.25


def test_scores_by_name_and_the_nearest_name() -> None:
    assert score(["accuracy", "uar"], ["yes"], ["yes"]) == {"accuracy": 1.0, "uar": 1.0}
    with pytest.raises(UserError, match="unknown metric 'acuracy'; did you mean 'accuracy'"):
        get_metric("acuracy")


def test_unequal_or_no_examples_are_refused() -> None:
    with pytest.raises(UserError, match="1 predictions and 2 references"):
        value("accuracy", ["yes"], ["yes", "no"])
    with pytest.raises(UserError, match="nothing to score"):
        value("accuracy", [], [])


def test_tables_show_fractions_in_percent_and_bleu_in_points() -> None:
    assert get_metric("wer").shown(0.25) == 25
    assert get_metric("bleu").shown(25.0) == 25
