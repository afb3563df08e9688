"""What the LLM cannot take of a recipe's text is told before the first step, not in the middle of
training.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
import transformers

from microscopic import byte_level, unigram
from speechverse.errors import CheckpointError, RecipeError
from speechverse.training.recipe import Recipe
from speechverse.training.trainer import train

MakeRecipe = Callable[..., Recipe]
STAGE = {"name": "only", "mixture": "asr", "train": ["mixer"], "steps": 2, "learning_rate": 1e-3}
ASR = {"asr": [{"corpus": "mine", "task": "asr"}]}
PARTS = {"layer_mixing": "softmax", "downsampler": {"strides": [2, 2]}}
LETTERS = ["play some music by the kitchen turn off light weather today"] * 4


@pytest.fixture
def spelling_recipe(
    recipe: MakeRecipe, foundation: Callable[[str], Path], world: Path, tmp_path: Path
) -> Any:
    """A recipe on 20 clips of `world` with these texts, whose LLM has pieces for small Latin
    letters only.
    """
    shutil.copytree(foundation("t5"), tmp_path / "llm")
    letters = unigram(LETTERS)
    letters.save_pretrained(tmp_path / "llm")

    def make(texts: list[str], **data: Any) -> Recipe:
        lines = [
            {
                "audio": str(world / "audio" / f"a{n}.wav"),
                "text": texts[n % len(texts)],
                "id": f"clip{n}",
            }
            for n in range(20)
        ]
        (tmp_path / "list.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        files = {"train": str(tmp_path / "list.jsonl"), "dev": str(tmp_path / "list.jsonl")}
        model = {
            "encoder": str(foundation("best-rq")),
            "llm": str(tmp_path / "llm"),
            "lora": None,
            **PARTS,
        }
        data = {"corpora": {"mine": {"jsonl": files}}, "mixtures": ASR, "cache": "none", **data}
        return recipe(data=data, model=model, curriculum=[STAGE])

    return make


def test_transcripts_in_another_script_are_refused_before_the_first_step(
    spelling_recipe: Any, tmp_path: Path
):
    made = spelling_recipe(["привет мир", "turn off the light"], validation={})
    with pytest.raises(
        RecipeError,
        match=(
            r"mine/train/asr: .* 10 of 20 targets, such as 'приветм' in 'привет мир'.*at most"
            r" 5% may"
        ),
    ):
        train(made, tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_few_unknown_letters_are_counted_and_told_by_task_with_an_example(
    spelling_recipe: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    made = spelling_recipe(
        ["turn off the light"] * 19 + ["the café"], validation={"split": "dev", "every": 1}
    )
    train(made, tmp_path / "run")
    told = capsys.readouterr().err
    wanted = (
        "1 of 20 targets hold what the LLM's tokenizer cannot spell, such as 'é' in 'the café'"
        " (clip19)"
    )
    assert f"mine/train/asr: {wanted}" in told
    assert "validation of stage 'only': 1 of" in told
    assert told.index(wanted) < told.index("stage 1/1 'only' trains")


def test_other_signs_are_told_and_not_refused(
    spelling_recipe: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    train(spelling_recipe(["turn off the light!"], validation={}), tmp_path / "run")
    assert (
        "20 of 20 targets hold what the LLM's tokenizer cannot spell, such as '!'"
        in capsys.readouterr().err
    )


def test_a_validation_text_too_long_for_ctc_is_left_out(spelling_recipe: Any, tmp_path: Path):
    texts = ["up", "some music " * 60]
    made = spelling_recipe(texts, validation={"split": "dev", "every": 1, "examples": 8})
    stage = made.curriculum[0].model_copy(update={"objective": "ctc"})
    run = train(made.model_copy(update={"curriculum": [stage]}), tmp_path / "run")
    assert run["stages"][0]["steps"] == 2


def test_a_clip_too_short_for_the_encoder_is_counted_and_ends_nothing(
    spelling_recipe: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    made = spelling_recipe(["turn off the light"], validation={})
    soundfile.write(tmp_path / "short.wav", [0.1] * 400, 16000)
    with (tmp_path / "list.jsonl").open("a") as lines:
        lines.write(
            json.dumps({"audio": str(tmp_path / "short.wav"), "text": "light", "id": "short"})
            + "\n"
        )
    train(made, tmp_path / "run")
    told = capsys.readouterr().err
    assert "1 of 21 examples do not fit the model and are left out, such as short" in told
    assert "audio of 400 samples is too short" in told


def gpt2(folder: Path, positions: int) -> Path:
    tokenizer = byte_level([], ("<s>", "<pad>", "</s>"), bos_token="<s>")
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer), n_positions=positions, n_embd=16, n_layer=1, n_head=2, bos_token_id=0,
        eos_token_id=2, pad_token_id=1,
    )  # fmt: skip
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_examples_beyond_the_llms_positions_are_counted_before_the_first_step(
    recipe: MakeRecipe,
    foundation: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    model = {
        "encoder": str(foundation("best-rq")),
        "llm": str(gpt2(tmp_path / "llm", 64)),
        "lora": None,
        **PARTS,
    }
    train(
        recipe(data={"validation": {}, "cache": "none"}, model=model, curriculum=[STAGE]),
        tmp_path / "run",
    )
    told = capsys.readouterr().err
    counted = "of 24 examples do not fit the model and are left out, such as "
    assert told.index(counted) < told.index("stage 1/1 'only' trains")


def test_a_tokenizer_that_outgrew_its_llm_is_refused_or_served_when_the_llm_is_loaded(
    recipe: MakeRecipe, foundation: Callable[[str], Path], tmp_path: Path
):
    shutil.copytree(foundation("t5"), tmp_path / "llm")
    model = {
        "encoder": str(foundation("best-rq")),
        "llm": str(tmp_path / "llm"),
        "lora": None,
        **PARTS,
    }
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "llm")
    size = len(tokenizer)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(tmp_path / "llm")
    train(recipe(model=model, curriculum=[STAGE]), tmp_path / "served")
    tokenizer.add_tokens(["kubernetes"])
    tokenizer.save_pretrained(tmp_path / "llm")
    with pytest.raises(
        CheckpointError,
        match=f"gives {size + 2} ids .* embeddings for {size} only; .* 'kubernetes'",
    ):
        train(recipe(model=model, curriculum=[STAGE]), tmp_path / "refused")


def test_an_explicit_limit_counts_and_none_grows_with_the_audio(recipe: MakeRecipe):
    assert recipe().decoding.max_new_tokens == 4
    assert recipe(decoding={}).decoding.max_new_tokens is None
