"""Each door of docs/extending.md, gone through with the very code of the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from microscopic import save_conformer
from running import speechverse
from speechverse.encoders import FAMILIES, load_encoder
from speechverse.errors import CheckpointError, RecipeError, UserError
from speechverse.evaluation.parts import check_systems, make_systems
from speechverse.tasks import get_task
from speechverse.training import load_recipe
from speechverse.types import AudioRef, Utterance
from task_check import validate_task
from taught import Taught, say

PAGE = Path(__file__).resolve().parents[2] / "docs" / "extending.md"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's files, in a folder `mine` of the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(FAMILIES, "own", {})
    (tmp_path / "mine").mkdir()
    for name, code in re.findall(
        r"^```python\n# mine/(\w+\.py)\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE
    ):
        (tmp_path / "mine" / name).write_text(code)
    for name, text in re.findall(
        r"^```yaml\n# mine/(\w+\.yaml)\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE
    ):
        (tmp_path / "mine" / name).write_text(text)
    return tmp_path / "mine"


def utterance(**labels: object) -> Utterance:
    return Utterance("u", AudioRef(Path("u.wav")), 1.0, "are you there", labels=labels)


def test_a_task(mine: Path) -> None:
    examples = validate_task(get_task("mine/question.py:QUESTION"), utterance(is_question=True))
    assert {example.target for example in examples} == {"yes"} and get_task(
        "question"
    ).title == "Question or statement"


def test_a_task_in_a_yaml_file(mine: Path) -> None:
    task = get_task("mine/mood.yaml")
    examples = validate_task(task, utterance(mood="calm"))
    assert {example.target for example in examples} == {"calm"}
    assert any("impatient" in example.instruction for example in examples)
    assert get_task("mood") is task and task.is_about_the_voice
    load_recipe("small", ["data.mixtures.all=[{corpus: world, task: mine/mood.yaml}]"])


def test_a_task_in_a_yaml_file_is_learned_measured_and_asked_by_its_files_name(
    mine: Path, taught: Taught
) -> None:
    task = (mine / "mood.yaml").read_text()
    for theirs, its in {"calm": "neutral", "impatient": "happy", "cheerful": "sad"}.items():
        task = task.replace(theirs, its)  # words that so small an LLM can spell
    (mine / "mood.yaml").write_text(task)
    clips = [
        say(mine / f"{name}-{feeling}.wav", "play radio", feeling, seed)
        for seed, name in enumerate("ab")
        for feeling in ("neutral", "happy")
    ]
    lines = [
        {"audio": clip.audio.path.name, "text": clip.text, "mood": clip.labels["emotion"]}
        for clip in clips
    ]
    (mine / "mood.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (mine / "recipe.yaml").write_text(f"""
name: mood
initial: {taught.model}
data:
  corpora: {{calls: {{jsonl: {{train: mine/mood.jsonl, test: mine/mood.jsonl}}}}}}
  mixtures: {{mood: [{{corpus: calls, task: mine/mood.yaml}}]}}
  batch: {{max_positions: 400, max_examples: 2}}
  workers: 0
curriculum:
  - {{name: only, mixture: mood, train: [mixer, downsampler], steps: 2, learning_rate: 1.0e-4}}
training: {{precision: fp32}}
evaluation: {{corpus: calls, tasks: [mine/mood.yaml], systems: [speechverse, majority]}}
""")
    speechverse("train", "mine/recipe.yaml", "--output", "run")
    told = json.loads(speechverse("evaluate", "run", "--output", "measured", "--json").stdout)
    assert {score["task"] for score in told["scores"]} == {"mood"}
    asked = speechverse("ask", clips[1].audio.path, "--task", "mine/mood.yaml", "--model", "run")
    assert asked.stdout.strip() in ("neutral", "happy", "sad")


def test_a_metric(mine: Path) -> None:
    task = get_task("mine/gist.py:GIST")
    validate_task(task, utterance(summary="somebody asks"))
    assert task.metrics == ("word_recall", "chrf")
    assert task.score(["who asks"], ["somebody asks"])["word_recall"] == 0.5


def test_an_encoder_family(mine: Path, tmp_path: Path) -> None:
    config = transformers.UniSpeechConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, vocab_size=12,
        conv_dim=(16, 16), conv_kernel=(10, 8), conv_stride=(5, 8), num_feat_extract_layers=2,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2, num_codevectors_per_group=4,
        codevector_dim=8, proj_codevector_dim=8, apply_spec_augment=False,
    )  # fmt: skip
    transformers.UniSpeechModel(config).save_pretrained(tmp_path / "encoder")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "encoder")
    with pytest.raises(
        UserError, match="unknown kind of speech encoder 'unispeech'.*path/to/file.py:NAME"
    ):
        load_encoder(tmp_path / "encoder")
    encoder = load_encoder(tmp_path / "encoder", family="mine/unispeech.py:UniSpeech")
    heard = encoder(
        **encoder.prepare([np.random.default_rng(0).standard_normal(8000).astype(np.float32)])
    )
    assert heard.hidden_states.shape[0] == 2 and torch.isfinite(heard.hidden_states).all()
    save_conformer(tmp_path / "other")
    with pytest.raises(CheckpointError, match="'wav2vec2-bert': .* leave encoder_family out"):
        load_encoder(tmp_path / "other", family="mine/unispeech.py:UniSpeech")


def test_a_system(mine: Path) -> None:
    check_systems(["speechverse", "mine/silent.py:Silent"])
    [silent] = make_systems(["mine/silent.py:Silent"], parts=None)
    assert (silent.name, [answer.text for answer in silent.answer([None, None])]) == (
        "silent",
        ["", ""],
    )
    load_recipe("small", ["evaluation={corpus: world, systems: [mine/silent.py:Silent]}"])
    with pytest.raises(
        RecipeError, match=r"evaluation.systems.0: unknown system 'orcale'; did you mean 'oracle'"
    ):
        load_recipe("small", ["evaluation={corpus: world, systems: [orcale]}"])
