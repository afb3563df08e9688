from __future__ import annotations

from pathlib import Path

import pytest

from speechverse.errors import RecipeError
from speechverse.foundations.recipe import EncoderRecipe, LmRecipe, load_recipe
from speechverse.training.recipe_files import load_recipe as training_recipe

RECIPES = Path(__file__).parents[3] / "recipes" / "foundations"


def test_the_shipped_recipes_load_and_share_one_tokenizer() -> None:
    encoder = load_recipe(RECIPES / "encoder-tiny.yaml", EncoderRecipe)
    lm = load_recipe(RECIPES / "lm-tiny.yaml", LmRecipe)
    assert encoder.tokenizer == lm.tokenizer
    assert encoder.data.seed != lm.data.seed
    larger = load_recipe(RECIPES / "encoder-gpu.yaml", EncoderRecipe)
    assert larger.tokenizer == lm.tokenizer == load_recipe(RECIPES / "lm-gpu.yaml", LmRecipe).tokenizer
    assert larger.data.seed not in (encoder.data.seed, lm.data.seed)


def test_make_foundations_parts_are_made_for_each_other() -> None:
    encoder = load_recipe(RECIPES / "encoder-tiny.yaml", EncoderRecipe)
    lm = load_recipe(RECIPES / "lm-tiny.yaml", LmRecipe)
    words = load_recipe(RECIPES / "lm-tiny-words.yaml", LmRecipe)
    assert encoder.ctc is not None and encoder.ctc.embeddings == lm.initial == "../../foundations/words"
    assert lm.freeze_embeddings and (words.shape, words.tokenizer) == (lm.shape, lm.tokenizer)
    adapter = training_recipe(RECIPES / "adapter-tiny.yaml")
    assert adapter.model is not None
    assert (adapter.model.encoder, adapter.model.llm) == ("foundations/encoder", "foundations/llm")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("training: {steps: 1, learnig_rate: 1.0}", "learning_rate"),
        ("training: {steps: -1, learning_rate: 1.0}", "training.steps"),
        ("training: {steps: 1, warmup_steps: 1, learning_rate: 1.0}\nnonsense: 1", "nonsense"),
        (
            "training: {steps: 1, warmup_steps: 1, learning_rate: 1.0}\nshape: {max_positions: 300}",
            "max_tokens is 400.*300",
        ),
        (
            "training: {steps: 1, warmup_steps: 1, learning_rate: 1.0}\ndata: {hardness_at_start: 0.2}",
            "hardness_at_start 0.2 says nothing without hardens_over",
        ),
        ("training: {steps: 9, warmup_steps: 10, learning_rate: 1.0}", "warmup_steps 10 is longer .* of 9 steps"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(f"kind: lm\nname: x\n{line}\n")
    with pytest.raises(RecipeError, match=message):
        load_recipe(path, LmRecipe)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("{body: conv, num_attention_heads: 4}", r"'shape\.num_attention_heads'(?!.*position_embeddings_type)"),
        ("{body: conformer, hiden_size: 4}", r"did you mean 'shape\.hidden_size'"),
        ("{hidden_size: 4}", r"shape\.body: say which body the encoder has \(conv, conformer\)"),
        ("{body: conv, num_hidden_layers: 2}", r"ctc\.letters_layer is 3; the encoder has 2 layers"),
        ("{body: conv, mel_conv_width: 128, stride: 5}", r"mel_conv_width needs a stride of 2, 4, 8 or 16, not 5"),
        ("{body: conv, conv_kernel_size: 10}", r"shape\.conv_kernel_size: .*give an odd number"),
    ],
)
def test_a_wrong_shape_is_named(tmp_path: Path, shape: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    phase = "{steps: 1, warmup_steps: 1, learning_rate: 1.0}"
    phases = f"best_rq: {phase}\nctc: {phase}"
    path.write_text(f"kind: encoder\nname: x\nshape: {shape}\n{phases}\n")
    with pytest.raises(RecipeError, match=message):
        load_recipe(path, EncoderRecipe)


def test_the_other_kind_of_recipe_is_refused() -> None:
    with pytest.raises(RecipeError, match="kind"):
        load_recipe(RECIPES / "encoder-tiny.yaml", LmRecipe)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot read"):
        load_recipe(tmp_path / "none.yaml", LmRecipe)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "sound.wav").write_bytes(b"RIFF\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        load_recipe(tmp_path / "sound.wav", LmRecipe)


def test_a_loss_every_0_steps_is_refused(tmp_path: Path) -> None:
    path, phase = tmp_path / "wrong.yaml", "{steps: 1, warmup_steps: 1, learning_rate: 1.0"
    path.write_text(f"kind: encoder\nname: x\nbest_rq: {phase}}}\nctc: {phase}, self_supervised_every: 0}}\n")
    with pytest.raises(RecipeError, match=r"ctc\.self_supervised_every: .*greater than or equal to 1"):
        load_recipe(path, EncoderRecipe)
