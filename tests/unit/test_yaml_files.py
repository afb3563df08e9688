"""YAML that would be misread in silence is refused with its line."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import pytest

from speechverse.errors import RecipeError, UserError
from speechverse.training.recipe_files import load_recipe
from speechverse.world import read_lines
from speechverse.yaml_files import dump_yaml, parse_yaml

BOMB = "a: &a [0,0,0,0,0,0,0,0]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 8)}]\n" for before, name in pairwise("abcdefghi")
)


@pytest.mark.parametrize(
    ("text", "reads"), [("a: 010", "8"), ("a: 0_1", "1"), ("a: 1:30", "90"), ("a: -07", "-7")]
)
def test_a_number_that_yaml_reads_otherwise_than_it_looks_is_refused(text: str, reads: str):
    with pytest.raises(ValueError, match=f"line 1: YAML reads `.*` as {reads}: write that number"):
        parse_yaml(text)


@pytest.mark.parametrize("name", ["5e-4", "1e3", "010", "yes", "1:30", "plain", "null", "12"])
def test_what_is_written_is_read_as_the_same(name: str):
    value = {"name": name, "numbers": [0, 10, -3, 0.5, 1e-05, 1e20], "on": True}
    assert parse_yaml(dump_yaml(value)) == value


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "True"])
def test_an_unquoted_yes_or_no_as_a_key_is_named_with_its_line(word: str):
    with pytest.raises(
        ValueError, match=f'line 2: YAML reads the key `{word}:` as a truth value .*"{word}":'
    ):
        parse_yaml(f"answer:\n  {word}: it is said\n")
    assert parse_yaml(f'"{word}": it is said') == {word: "it is said"}


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' stands in line 1 already"),
        ("1: one", "line 1: YAML reads the key `1:` as a number"),
        ("[a]: one", "a key should be a word"),
        ("a: &x [*x]", "refers to itself|nested too deeply"),
        (BOMB, "its aliases make more than"),
        ("[" * 2_000, "nested too deeply"),
        ("a: !!python/object:os.system x", "not YAML"),
        ("a: !!timestamp x", "cannot make|not YAML"),
        ("a: b: c", "not YAML"),
    ],
)  # fmt: skip
def test_what_would_be_lost_or_misread_is_refused(text: str, cause: str):
    with pytest.raises(ValueError, match=cause):
        parse_yaml(text)


def test_a_key_may_be_overridden_that_a_merge_brings():
    assert parse_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}")["b"] == {"x": 3, "y": 2}
    assert parse_yaml("rate: 1e-3") == {"rate": 1e-3}


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"intent:\n  yes: agree\n", "line 2: YAML reads the key `yes:`"),
        (b"intent: [yes, no]\n", "unquoted yes, no, on or off"),
        (b"intent: {a: true}\n", "unquoted yes, no, on or off"),
        (b"intent: {Play it: x, play_it: y}\n", "'Play it' and 'play_it' of 'intent' read alike"),
        (gzip.compress(b"intent: {a: b}", mtime=0), "is compressed with gzip"),
        ("intent: {a: b}".encode("utf-16"), "is UTF-16"),
        (b"- intent\n", "should hold, for each label field"),
    ],
)
def test_a_label_file_that_cannot_be_used_is_named_with_the_cause(
    tmp_path: Path, content: bytes, cause: str
):
    (tmp_path / "labels.yaml").write_bytes(content)
    (tmp_path / "mine.jsonl").write_text('{"text": "hello"}')
    with pytest.raises(UserError, match=f"labels.yaml.*{cause}"):
        read_lines(tmp_path / "mine.jsonl", labels=tmp_path / "labels.yaml")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"base: small\ndata:\n  corpora:\n    own: {labels: {said: {yes: a}}}\n", "line 4: YAML reads the key `yes:`"),
        (b"base: small\nname: yes\n", "name: .*unquoted yes"),
        (b"base: small\nseed: 1\nseed: 2\n", "line 3: the key 'seed' stands in line 2 already"),
        ("base: small\n".encode("utf-16"), "is UTF-16"),
        (gzip.compress(b"base: small\n", mtime=0), "is compressed with gzip"),
        (b"base: small\ntraining: {max_grad_norm: .nan}\n", "training.max_grad_norm: .*finite"),
        (b"base: small\ntraining: {max_grad_norm: .inf}\n", "training.max_grad_norm: .*finite"),
    ],
)  # fmt: skip
def test_a_recipe_that_cannot_be_used_says_why(tmp_path: Path, content: bytes, cause: str):
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(RecipeError, match=cause):
        load_recipe(tmp_path / "mine.yaml")
