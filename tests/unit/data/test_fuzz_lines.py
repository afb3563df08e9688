"""Lines, recipes and label files made at random: an error that says what to do, or all that was
written, never less.

`SPEECHVERSE_FUZZ=10000` tries so many inputs, `SPEECHVERSE_FUZZ_SEED=7` others than those of every
run.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import HealthCheck, event, given, seed, settings
from hypothesis import strategies as st

from speechverse.data import Corpus, Mixture, MixtureItem, render_split, write_corpus
from speechverse.data.applicable import askable
from speechverse.data.manifest import read_manifest
from speechverse.errors import SpeechverseError, UserError
from speechverse.tasks import get_task, task_names
from speechverse.training.recipe_files import load_recipe, recipes_folder
from speechverse.world import read_lines
from speechverse.yaml_files import read_yaml

INPUTS = int(os.environ.get("SPEECHVERSE_FUZZ", "120"))
SEED = os.environ.get("SPEECHVERSE_FUZZ_SEED")


def fuzz(share: float) -> Callable[[Any], Any]:
    """So large a share of the inputs, the same in every run unless a seed is given."""
    chosen = settings(
        max_examples=max(1, round(INPUTS * share)),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=SEED is None,
    )
    return chosen if SEED is None else (lambda test: seed(int(SEED))(chosen(test)))


WORDS = st.sampled_from(
    [
        "play",
        "stop",
        "Play!",
        "",
        " ",
        "yes",
        "none",
        "a=b;",
        "🎷",
        "हाँ",
        "\u0000",
        "</s>",
        "de",
        "zh",
    ]
)
NUMBERS = st.sampled_from(
    [0, 1, 2, -1, 0.5, 1e308, float("nan"), float("inf"), -0.0, 10**30, 2**53, True]
)
SCALARS = st.one_of(WORDS, NUMBERS, st.none(), st.text(max_size=6), st.floats(), st.integers())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=6,
)
GOOD: dict[str, st.SearchStrategy[Any]] = {
    "audio": st.sampled_from(
        ["a.wav"] * 12 + ["bad.wav", "gone.wav", ".", "..", "n" * 300, "a\u0000.wav"]
    ),
    "id": st.one_of(WORDS, st.integers(0, 3)),
    "start": st.floats(0, 0.6),
    "duration": st.floats(0, 0.5),
    "text": WORDS,
    "speaker": WORDS,
    "language": WORDS,
    "intent": WORDS,
    "slots": st.one_of(
        st.dictionaries(WORDS, WORDS, max_size=2), st.lists(st.lists(WORDS, min_size=2, max_size=2))
    ),
    "keywords": st.lists(WORDS, max_size=3),
    "translations": st.dictionaries(WORDS, WORDS, max_size=3),
    "emotion": st.sampled_from(["happy", "sad", "angry", "joy"]),
    "num_speakers": st.integers(0, 4),
    "is_speech": st.booleans(),
    "split": st.sampled_from(["train", "dev", "tset"]),
    "voice": st.sampled_from(["f3", "m1", "x"]),
}


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    """An object with keys that lines have, mostly with values that they may have."""
    keys = draw(st.lists(st.sampled_from(list(GOOD)), max_size=5))
    entry = {"audio": "a.wav", "text": "hello"} | {key: draw(GOOD[key]) for key in keys}
    if draw(st.integers(0, 3)) == 0:
        entry[draw(st.sampled_from([*GOOD, "mine"]))] = draw(VALUES)
    return entry


@st.composite
def spoilt(draw: st.DrawFn, whole: str) -> str:
    """A text with a few signs put in, left out or repeated."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(whole)))
        sign = draw(
            st.sampled_from(
                [
                    '"',
                    "{",
                    "}",
                    "[",
                    ":",
                    ",",
                    "\\",
                    "\\ud800",
                    "NaN",
                    "1e999",
                    "\t",
                    "\r",
                    "é",
                    "&a ",
                    "*a",
                    "yes: ",
                ]
            )
        )
        drop = draw(st.integers(0, 4))
        whole = whole[:place] + sign + whole[place + drop :]
    return whole


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """The bytes of a file of lines, most of them whole."""
    written = []
    for entry in draw(st.lists(entries(), max_size=5)):
        line = json.dumps(entry, ensure_ascii=draw(st.booleans()))
        written.append(draw(spoilt(line)) if draw(st.integers(0, 9)) == 0 else line)
    raw = (
        draw(st.sampled_from(["\n", "\r\n", "\n\n"])).join(written).encode("utf-8", "surrogatepass")
    )
    if draw(st.integers(0, 19)) == 0:
        return draw(
            st.sampled_from(
                [
                    raw.decode("latin-1").encode("utf-16"),
                    b"\xef\xbb\xbf" + raw,
                    raw[: len(raw) // 2],
                    b"\x1f\x8b" + raw,
                ]
            )
        )
    return raw


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of sound and a file that is none."""
    folder = tmp_path_factory.mktemp("fuzz")
    soundfile.write(folder / "a.wav", np.random.RandomState(0).randn(16_000) * 0.1, 16_000)
    (folder / "bad.wav").write_text("no sound")
    return folder


def given_lines(raw: bytes) -> list[dict[str, Any]]:
    """The objects of a file as Python's own reader has them."""
    return [json.loads(line) for line in raw.decode("utf-8-sig").split("\n") if line.strip()]


@fuzz(0.45)
@given(raw=lines())
def test_lines_are_all_read_or_refused_with_their_numbers(folder: Path, raw: bytes) -> None:
    path = folder / "mine.jsonl"
    path.write_bytes(raw)
    try:
        corpus = Corpus.from_jsonl("mine", {"train": path}, max_bad_share=1.0)
    except UserError as error:
        event("refused")
        assert "mine.jsonl" in str(error)
        return
    objects, read = given_lines(raw), corpus.utterances("train")
    skipped = corpus.skipped.get("train", {})
    assert len(read) + len(skipped) == len(objects)
    by_line = {utterance.origin.line: utterance for utterance in read if utterance.origin}
    numbered = [
        (n, line) for n, line in enumerate(raw.decode("utf-8-sig").split("\n"), 1) if line.strip()
    ]
    for number, line in numbered:
        if number in by_line:
            assert by_line[number].text == json.loads(line).get("text")
    ask_everything(corpus)
    keep_and_read_again(corpus, folder)


def ask_everything(corpus: Corpus) -> None:
    """Every task's examples and what is left out are all that there is, and what can be asked can
    be drawn.
    """
    for name in task_names():
        task, everyone = get_task(name), corpus.utterances("train")
        found = askable(task, corpus, "train")
        refused = {utterance.id for utterance in everyone if not task.missing(utterance)} - {
            u.id for u in found.utterances
        }
        assert len(found.utterances) + found.left_out.lacking.total() + len(refused) == len(
            everyone
        )
        if not found.utterances:
            continue
        rendered = render_split(corpus, "train", task, wording="seen")
        assert {example.utterance.id for example in rendered.examples} == {
            u.id for u in found.utterances
        }
        mixture = Mixture([MixtureItem(corpus, task)], pass_size=8)
        assert all(mixture.example(draw).task == name for draw in mixture.draws(0))


def keep_and_read_again(corpus: Corpus, folder: Path) -> None:
    written = write_corpus(folder / "kept", "kept", {"train": corpus.utterances("train")})
    for before, after in zip(corpus.utterances("train"), written.utterances("train"), strict=True):
        assert (before.id, before.text, before.labels) == (after.id, after.text, after.labels)
        assert abs(before.duration - after.duration) < 1e-3


@fuzz(0.15)
@given(raw=lines())
def test_sentences_to_speak_are_all_taken_or_refused_with_their_numbers(
    folder: Path, raw: bytes
) -> None:
    path = folder / "say.jsonl"
    path.write_bytes(raw.replace(b'"audio"', b'"sound"'))
    try:
        source = read_lines(path)
    except UserError as error:
        event("refused")
        assert "say.jsonl" in str(error)
        return
    assert source.num_clips == len(given_lines(raw))


@st.composite
def label_files(draw: st.DrawFn) -> bytes:
    """A YAML file of label sets."""
    field = st.sampled_from(["intent", "emotion", "mine", "yes"])
    names = st.one_of(
        st.dictionaries(WORDS, WORDS, min_size=1, max_size=4),
        st.lists(WORDS, min_size=1, max_size=4),
        VALUES,
    )
    text = yaml.safe_dump(
        draw(st.dictionaries(field, names, max_size=3)), allow_unicode=draw(st.booleans())
    )
    if draw(st.integers(0, 2)) == 0:
        text = text.replace("'", "") if draw(st.booleans()) else draw(spoilt(text))
    return text.encode(draw(st.sampled_from(["utf-8"] * 8 + ["utf-16"])), "replace")


@fuzz(0.15)
@given(raw=label_files())
def test_label_files_are_kept_whole_or_refused_by_name(folder: Path, raw: bytes) -> None:
    (folder / "labels.yaml").write_bytes(raw)
    (folder / "one.jsonl").write_text('{"text": "hello"}')
    try:
        source = read_lines(folder / "one.jsonl", labels=folder / "labels.yaml")
    except UserError as error:
        event("refused")
        assert "labels.yaml" in str(error)
        return
    for field, names in read_yaml(folder / "labels.yaml").items():
        assert set(names) <= set(source.labels[field])


SMALL = read_yaml(recipes_folder() / "small.yaml")


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in nested sections and lists."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [at, *(place for key, item in inner for place in places(item, (*at, key)))]


@st.composite
def recipes(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A recipe like `small` with a few values, keys or signs changed, and overrides."""
    values = copy.deepcopy(SMALL)
    for _ in range(draw(st.integers(0, 2))):
        *way, last = draw(st.sampled_from(places(values)[1:]))
        at = values
        for key in way:
            at = at[key]
        if draw(st.booleans()) or isinstance(at, list):
            at[last] = draw(VALUES)
        else:
            at[draw(WORDS)] = draw(VALUES)
    text = yaml.safe_dump(values, allow_unicode=True)
    text = draw(spoilt(text)) if draw(st.integers(0, 2)) == 0 else text
    dotted = st.sampled_from([".".join(map(str, place)) for place in places(SMALL)[1:]])
    value = st.sampled_from(
        [
            "1",
            "yes",
            "[",
            "null",
            ".nan",
            "{a: b}",
            "{yes: b}",
            "1e999",
            "2024-13-45",
            "!!x y",
            "&a [*a]",
            "",
        ]
    )
    overrides = draw(st.lists(st.builds("{}={}".format, dotted, value), max_size=1))
    return text, overrides


@fuzz(0.15)
@given(made=recipes())
def test_recipes_are_taken_or_refused_in_our_own_words(
    folder: Path, made: tuple[str, list[str]]
) -> None:
    text, overrides = made
    (folder / "mine.yaml").write_text(text, encoding="utf-8", errors="replace")
    try:
        recipe = load_recipe(folder / "mine.yaml", overrides)
    except SpeechverseError as error:
        event("refused")
        assert str(error)
        return
    assert json.dumps(recipe.model_dump(mode="json"), allow_nan=False)


@fuzz(0.1)
@given(data=st.data())
def test_lines_of_cuts_are_all_read_or_refused_with_their_numbers(
    folder: Path, data: st.DataObject
) -> None:
    cut = {
        "id": "one", "start": 0.0, "duration": 1.0, "channel": 0, "type": "MonoCut",
        "supervisions": [{"id": "one", "recording_id": "one", "start": 0.0, "duration": 1.0, "text": "hello",
                          "custom": {"intent": "play", "num_speakers": 1}}],
        "recording": {"id": "one", "sources": [{"type": "file", "channels": [0], "source": "a.wav"}],
                      "sampling_rate": 16000, "num_samples": 16000, "duration": 1.0, "channel_ids": [0]},
    }  # fmt: skip
    made = []
    for number in range(data.draw(st.integers(1, 3))):
        own = copy.deepcopy(cut) | {"id": f"cut {number}"}
        if data.draw(st.booleans()):
            *way, last = data.draw(st.sampled_from(places(own)[1:]))
            at: Any = own
            for key in way:
                at = at[key]
            at[last] = data.draw(VALUES)
        line = json.dumps(own)
        made.append(
            data.draw(spoilt(line)).replace("\n", " ")
            if data.draw(st.integers(0, 5)) == 0
            else line
        )
    (folder / "cuts.jsonl").write_text("\n".join(made), encoding="utf-8", errors="replace")
    try:
        read = list(read_manifest(folder / "cuts.jsonl", folder))
    except UserError as error:
        event("refused")
        assert "cuts.jsonl" in str(error)
        return
    assert len(read) == len(made) and all(clip.duration > 0 for clip in read)
