from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from speechverse.errors import CheckpointError
from speechverse.foundations.phases import made_of
from speechverse.foundations.recipe import LmRecipe, PhaseSettings, TokenizerRecipe, load_recipe
from speechverse.foundations.world import world_tokenizer


@pytest.mark.parametrize(
    "text",
    [
        "play some jazz in the kitchen",
        "artist = miles davis; room = kitchen;",
        "radio, kitchen",
        "book_table",
        "non-speech",
        "s'il te plaît enlève du fromage",
        "zeig mir den weg für später",
        "xyqvw zzub",
    ],
)
def test_answers_come_back_as_they_were(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_a_word_is_the_same_pieces_whatever_stands_around_it(tokenizer: PreTrainedTokenizerFast) -> None:
    bare, quoted = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("kitchen", "'Kitchen'?"))
    assert quoted[1 : 1 + len(bare)] == bare


def test_special_ids_and_end(tokenizer: PreTrainedTokenizerFast) -> None:
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (0, 1, 2)
    assert tokenizer("yes")["input_ids"][-1] == tokenizer.eos_token_id
    assert tokenizer.unk_token_id not in tokenizer("größe \n naïve @ 100 %")["input_ids"]


def test_common_words_are_one_piece(tokenizer: PreTrainedTokenizerFast) -> None:
    pieces = tokenizer(["the", "please", "yes", "no", "qxqxq"], add_special_tokens=False)["input_ids"]
    assert [len(ids) == 1 for ids in pieces] == [True, True, True, True, False]


def test_same_recipe_same_tokenizer_and_it_loads(tokenizer: PreTrainedTokenizerFast, tmp_path) -> None:
    again = world_tokenizer(TokenizerRecipe(vocab_size=1000, sentences=400))
    assert again.get_vocab() == tokenizer.get_vocab()
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "Is the word 'lamp' used?\nroom = hall;"
    assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]


def test_a_recipe_may_name_a_tokenizer_s_folder(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path / "pieces")
    (tmp_path / "lm.yaml").write_text(
        "kind: lm\nname: x\ntokenizer: {folder: pieces}\ntraining: {steps: 1, learning_rate: 1.0e-3, warmup_steps: 1}\n"
    )
    recipe = load_recipe(tmp_path / "lm.yaml", LmRecipe).tokenizer  # from the recipe's folder, wherever we stand
    assert world_tokenizer(recipe).get_vocab() == tokenizer.get_vocab()
    with pytest.raises(CheckpointError, match=r"tokenizer\.folder.*holds no tokenizer"):
        world_tokenizer(TokenizerRecipe(folder=tmp_path / "elsewhere"))


def test_where_a_tokenizer_lies_does_not_tell_one_run_from_another(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    phase = PhaseSettings(steps=1, learning_rate=1e-3, warmup_steps=1)
    here, there = (
        made_of(LmRecipe(kind="lm", name="x", tokenizer=TokenizerRecipe(folder=place), training=phase), tokenizer)
        for place in (tmp_path, tmp_path / "moved")
    )
    assert here == there and not any(str(tmp_path) in str(value) for value in here.values())
