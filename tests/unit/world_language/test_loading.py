"""Data files of the language: all are found, in a set order; the package's have no faults, and any
would be found.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from checking import check_files

from speechverse.errors import SpeechverseError
from speechverse.world.language import grammar


def test_the_packages_own_files_are_sound():
    check_files(Path(grammar.__file__).parent / "data")
    world = grammar.load()
    assert len(world.intents) == len({intent.name for intent in world.intents})


def test_every_file_is_found_in_order_of_its_name(folder):
    world = grammar.read(folder)
    assert list(world.domains) == ["music", "travel", "zooarium"]
    assert list(world.slots) == ["singer", "day", "town", "thing", "beast"]
    (folder / "animals.yaml").write_text((folder / "zooarium.yaml").read_text())
    (folder / "zooarium.yaml").unlink()
    assert list(grammar.read(folder).domains) == ["zooarium", "music", "travel"]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "zooarium.yaml",
            "zooarium:",
            "music:",
            "zooarium.yaml: domain 'music' is in another file",
        ),
        ("zooarium.yaml", "feed:", "play:", "intent 'play' is in two domains"),
        ("home.yaml", "stay:", "go:", "home.yaml: 'go' is there twice"),
        ("slots_far.yaml", "town:", "day:", "slots_far.yaml: slot 'day' is in another file"),
        ("zooarium.yaml", "will {thing}", "will / {thing}", "needs 3 languages"),
        ("zooarium.yaml", "{beast}", "{beest}", "same slots in all languages|did you mean 'beast'"),
        ("home.yaml", "{singer}", "{singr}", "did you mean 'singer'"),
        ("home.yaml", "(spiel|sing)", "(spiel|sing|summ)", "not of equal number"),
        ("home.yaml", "va {town}", "va", "not the same slots in all languages"),
        ("home.yaml", "i *remain*", "I *remain*", "intent 'stay'.*lower-case letters.*'I remain'"),
        ("home.yaml", "i *remain*", "i remain 2", "lower-case"),
        ("home.yaml", "i *remain*", "i *remain", "keywords are marked"),
        ("home.yaml", "i *remain*", "i remain)", "a stray '\\)'"),
        ("home.yaml", "{day} / je", "{day} {day} / je", "same slots"),
        (
            "home.yaml",
            "held_out: true",
            "heldout: true",
            "unknown key 'heldout'; did you mean 'held_out'",
        ),
        ("home.yaml", "held_out: true", "held_out: maybe", "true or false"),
        ("home.yaml", "      description: hear a singer\n", "", "intent 'play' lacks description"),
        ("slots.yaml", "open: true", "opened: true", "unknown key 'opened'"),
        ("slots.yaml", "values: [aldo", "values: [Aldo", "slot 'singer', value 'Aldo'"),
        ("slots.yaml", "values: [aldo", "values: [yes", "put it in quotes"),
        ("slots.yaml", "values: [aldo", "values: [berta", "value 'berta': is there twice"),
        ("slots.yaml", "values: [today", "computed: dayz, unused: [today", "unknown key 'unused'"),
        (
            "slots_far.yaml",
            "values: [quagga, xerus]",
            "computed: beasts",
            "unknown computed 'beasts'",
        ),
        ("phrases.yaml", "openers", "starters", "unknown key 'starters'"),
    ],
)
def test_a_fault_is_named_with_its_place(folder, file, old, new, message):
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    with pytest.raises(SpeechverseError, match=message):
        check_files(folder)


def test_a_file_of_no_known_kind_is_refused(folder):
    (folder / "other.yaml").write_text("a: {description: b}")
    with pytest.raises(SpeechverseError, match=r"other\.yaml: neither slots nor phrases"):
        check_files(folder)
    (folder / "other.yaml").write_text("a: [")
    with pytest.raises(SpeechverseError, match=r"other\.yaml: "):
        check_files(folder)


def test_an_open_slot_too_short_to_hold_any_back_is_refused(folder):
    held = next(
        iter(
            sorted(
                n
                for n in grammar.read(folder).names_held_back
                if n in folder.joinpath("slots.yaml").read_text()
            )
        )
    )
    text = (folder / "slots_far.yaml").read_text()
    (folder / "slots_far.yaml").write_text(
        f"friend: {{description: a friend, open: true, values: [{held}]}}\n{text}"
    )
    with pytest.raises(SpeechverseError, match="slot 'friend' is too short to be open"):
        check_files(folder)
