from __future__ import annotations

from pathlib import Path

import pytest

from speechverse.errors import RecipeError
from speechverse.foundations.recipe import load_recipe

RECIPES = Path(__file__).parents[3] / "recipes" / "foundations"
PHASE = "{steps: 1, warmup_steps: 1, learning_rate: 1.0}"


def test_there_is_one_recipe_for_audio_alone_and_one_for_transcripts() -> None:
    alone, transcribed = (load_recipe(RECIPES / f"{name}.yaml") for name in ("best-rq", "ctc"))
    assert alone.ctc is None and transcribed.ctc is not None
    assert (alone.shape, alone.objective) == (transcribed.shape, transcribed.objective)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("best_rq: {steps: 1, learnig_rate: 1.0}", r"did you mean 'best_rq\.learning_rate'"),
        ("best_rq: {steps: -1, learning_rate: 1.0}", "best_rq.steps"),
        (f"best_rq: {PHASE}\nnonsense: 1", "nonsense"),
        ("best_rq: {steps: 9, warmup_steps: 10, learning_rate: 1.0}", "warmup_steps 10 is longer .* of 9 steps"),
        (f"best_rq: {PHASE}\nshape: {{hiden_size: 4}}", r"did you mean 'shape\.hidden_size'"),
        (
            f"best_rq: {PHASE}\nctc: {{steps: 1, warmup_steps: 1, learning_rate: 1.0, self_supervised_every: 0}}",
            r"ctc\.self_supervised_every: .*greater than or equal to 1",
        ),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, lines: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(f"name: x\n{lines}\n")
    with pytest.raises(RecipeError, match=message):
        load_recipe(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot read"):
        load_recipe(tmp_path / "none.yaml")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "sound.wav").write_bytes(b"RIFF\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        load_recipe(tmp_path / "sound.wav")
