"""Answers are read whatever their case, spacing and punctuation; what cannot be read is never
guessed.
"""

from __future__ import annotations

import pytest

from speechverse.errors import TaskError
from speechverse.tasks import UNPARSED, LabelSet, get_task, parse_slots

INTENTS = ("play_music", "set_alarm")


@pytest.mark.parametrize(
    ("task", "choices", "text", "expected"),
    [
        ("ic", INTENTS, "play_music", "play_music"),
        ("ic", INTENTS, " Play Music. ", "play_music"),
        ("ic", INTENTS, '"play-music"', "play_music"),
        ("ic", INTENTS, "play", UNPARSED),
        ("ic", INTENTS, "play_music set_alarm", UNPARSED),
        ("ic", None, " Play the music. ", "play the music"),
        ("ic", None, " . ", UNPARSED),
        ("er", None, "Happiness!", "happy"),
        ("er", None, "ANGER", "angry"),
        ("er", None, "puzzled", UNPARSED),
        ("er", ("happiness", "sadness"), "happy", "happiness"),
        ("er", ("sad", "angry"), "happiness", UNPARSED),
        ("asc", None, "Positivity.", "positive"),
        ("ac", ("american", "received"), "Received Pronunciation", "received"),
        ("sc", None, "2", "two"),
        ("sc", None, "One speaker.", "one"),
        ("sc", None, "three", UNPARSED),
        ("sns", None, "Non speech", "non-speech"),
        ("sns", None, "no", "non-speech"),
        ("kws", None, "Yes.", "yes"),
        ("er", ("happiness", "joyful", "sad"), "happy", UNPARSED),
        ("kwe", None, "- jazz\n- rock", ("jazz", "rock")),
        ("kwe", None, "2. Bundesliga, fußball", ("2. bundesliga", "fußball")),
        ("kwe", None, "1. jazz\n2) rock 'n' roll", ("jazz", "rock 'n' roll")),
        ("sf", None, "date = today\n* time = 7.30", (("date", "today"), ("time", "7.30"))),
        ("kws", None, "No, it is not.", "no"),
        ("kws", None, "true", "yes"),
        ("kws", None, "e", UNPARSED),
        ("kws", None, "", UNPARSED),
        ("asr", None, "  turn  on\nthe radio ", "turn on the radio"),
        ("asr", None, "", ""),
        ("kwe", None, "Radio, kitchen,radio.", ("radio", "kitchen")),
        ("kwe", None, "None.", ()),
        ("kwe", None, " , ", UNPARSED),
        (
            "sf",
            None,
            "artist = miles davis; room = kitchen;",
            (("artist", "miles davis"), ("room", "kitchen")),
        ),
        ("sf", None, "room=Kitchen; room = hall.", (("room", "kitchen"), ("room", "hall"))),
        ("sf", None, "None", ()),
        ("sf", None, "the kitchen", UNPARSED),
        ("sf", None, "room = kitchen; time", (("room", "kitchen"),)),
        ("sf", None, "", UNPARSED),
    ],
)
def test_parsers(task, choices, text, expected) -> None:
    assert get_task(task).parse(text, choices) == expected


@pytest.mark.parametrize(
    ("task", "labels"),
    [
        ("sf", {"slots": [["size", "large"], ["milk", ""]]}),
        ("sf", {"slots": [["note", "..."]]}),
        ("sf", {"slots": [["artist", "miles\ndavis"]]}),
        ("kwe", {"keywords": ["St. Louis, Missouri"]}),
        ("kwe", {"keywords": ["jazz", ""]}),
        ("kwe", {"keywords": ["None"]}),
    ],
)
def test_labels_that_an_answer_could_not_hold_are_refused(speech, task, labels) -> None:
    utterance = speech(**labels)
    with pytest.raises(TaskError, match="would be read as"):
        get_task(task).answer(utterance, {}, "")


def test_slot_names_read_like_labels_and_wrong_ones_stay_wrong() -> None:
    read = parse_slots("Place Name = berlin; colour = red;", ("place_name", "time"))
    assert read == (("place_name", "berlin"), ("colour", "red"))


def test_labels_that_answers_could_not_tell_apart_are_refused() -> None:
    with pytest.raises(TaskError, match="'play_music' and 'Play Music' of 'intent' read alike"):
        LabelSet("intent", {"play_music": "", "Play Music": ""})
    with pytest.raises(TaskError, match="no letter"):
        LabelSet("intent", {"--": ""})


def test_vowel_signs_tell_labels_apart_in_any_language() -> None:
    yes_and_no = LabelSet("reply", {"हाँ": "", "हो": "", "не": "", "ні": ""})
    assert [get_task("ic").parse(text, yes_and_no.names) for text in ("हो।", " НЕ ", "हाँ")] == [
        "हो",
        "не",
        "हाँ",
    ]


def test_labels_are_compared_as_they_are_written_and_by_no_rule_of_english() -> None:
    LabelSet(
        "amount", {"one": "", "1": "", "um": "", "first": "", "1st": "", "colour": "", "color": ""}
    )
