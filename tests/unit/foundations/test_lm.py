from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from speechverse.errors import RecipeError
from speechverse.foundations.lm import pretrain_lm
from speechverse.foundations.lm_data import SampleMaker, collate
from speechverse.foundations.lm_model import DIRECTIONS, EMBEDDING_STD, StreamedLm, make_lm
from speechverse.foundations.recipe import LmData, LmRecipe, LmShape, PhaseSettings, TokenizerRecipe

SHAPE = LmShape(width=16, encoder_layers=1, decoder_layers=1, heads=2, feed_forward=16, max_positions=420)


def test_clean_text_reads_the_same_through_ids_and_through_streams(maker: SampleMaker) -> None:
    model = StreamedLm(make_lm(SHAPE, maker.tokenizer)).eval()
    sample = maker.make("lamp and tea", "Repeat it.", "lamp and tea", [], random.Random(0), stretched=False)
    batch = collate([sample])
    ids = torch.tensor([[*sample.stream.ids, *sample.prompt]])
    with torch.inference_mode():
        torch.testing.assert_close(model(batch), model.lm(input_ids=ids, labels=batch.labels).logits)


def test_silence_and_no_style_say_nothing_whatever_their_row_has_become(maker: SampleMaker) -> None:
    model = StreamedLm(make_lm(SHAPE, maker.tokenizer)).eval()
    with torch.no_grad():
        model.lm.get_input_embeddings().weight[0].fill_(100.0)  # as training through the shared output head leaves it
    batch = collate([maker.make("lamp", "Repeat it.", "lamp", [], random.Random(0), stretched=False)])
    silent = batch._replace(ids=torch.zeros_like(batch.ids))
    with torch.inference_mode():
        torch.testing.assert_close(model(batch), model.lm(input_ids=batch.ids, labels=batch.labels).logits)
        embedded = model.embed(silent)
    assert embedded[silent.said].any() and embedded.abs().max() < 10 * EMBEDDING_STD
    assert not embedded[~silent.said].any()


def test_silence_in_front_moves_positions_and_is_not_attended_to(maker: SampleMaker) -> None:
    model = StreamedLm(make_lm(SHAPE, maker.tokenizer)).eval()
    with torch.no_grad():
        model.lm.model.encoder.embed_positions.weight.zero_()
    rng = random.Random(0)
    samples = [maker.make(text, "Repeat it.", text, [], rng, stretched=False) for text in ("tea", "the lamp is on")]
    at_once, later = collate(samples), collate(samples, behind=9)
    assert later.ids.shape[1] == at_once.ids.shape[1] + 9
    with torch.inference_mode():
        torch.testing.assert_close(model(at_once), model(later), atol=1e-5, rtol=1e-4)


def test_padding_changes_nothing(maker: SampleMaker) -> None:
    model = StreamedLm(make_lm(SHAPE, maker.tokenizer)).eval()
    rng = random.Random(0)
    samples = [maker.make(text, "Repeat it.", text, [], rng, stretched=False) for text in ("tea", "the lamp is on")]
    with torch.inference_mode():
        alone, together = model(collate(samples[:1])), model(collate(samples))
    torch.testing.assert_close(alone[0], together[0, : alone.shape[1]], atol=1e-5, rtol=1e-4)


def test_heads_start_by_matching_equal_tokens(maker: SampleMaker) -> None:
    attention = make_lm(LmShape(), maker.tokenizer).model.encoder.layers[0].self_attn
    states = torch.nn.functional.normalize(torch.randn(20, 160), dim=-1) * 160**0.5
    half = attention.q_proj.weight.shape[0] // 2
    scores = (states @ attention.q_proj.weight[:half].T) @ (states @ attention.k_proj.weight[:half].T).T
    assert bool((scores.argmax(dim=-1) == torch.arange(20)).all())


def test_an_answer_counts_with_the_root_of_its_length(maker: SampleMaker) -> None:
    model = StreamedLm(make_lm(SHAPE, maker.tokenizer)).eval()
    rng = random.Random(0)
    targets = ("sad", "the lamp in the kitchen is on and so is the radio")
    samples = [maker.make("tea", "Repeat it.", target, [], rng, stretched=False) for target in targets]
    lengths = [len(sample.target) for sample in samples]
    with torch.inference_mode():
        alone = [float(model.loss(collate([sample]))[0]) for sample in samples]
        together = float(model.loss(collate(samples))[0])
    expected = sum(loss * n**0.5 for loss, n in zip(alone, lengths, strict=True)) / sum(n**0.5 for n in lengths)
    assert together == pytest.approx(expected, rel=1e-4)


RECIPE = LmRecipe(
    kind="lm",
    name="micro",
    tokenizer=TokenizerRecipe(vocab_size=500, sentences=100),
    shape=SHAPE,
    data=LmData(sentences=60, batch_tokens=200, gate_examples=1),
    training=PhaseSettings(steps=2, learning_rate=1e-3, warmup_steps=1),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrain_lm(RECIPE, tmp_path_factory.mktemp("lm"))


def test_a_run_begins_with_a_finished_one_and_leaves_its_embeddings(made: Path, tmp_path: Path) -> None:
    later = RECIPE.model_copy(update={"initial": str(made), "freeze_embeddings": True})
    before, after = (
        AutoModelForSeq2SeqLM.from_pretrained(folder).state_dict()
        for folder in (made, pretrain_lm(later, tmp_path / "later"))
    )
    assert before["model.shared.weight"].equal(after["model.shared.weight"])
    moved = [(after[name].float() - weight.float()).abs().max() for name, weight in before.items()]
    assert 0 < max(moved) < 0.01
    assert "Begun with the weights of a finished run" in (tmp_path / "later" / "llm" / "README.md").read_text()
    with pytest.raises(RecipeError, match="initial: .* is of another shape"):
        narrow = SHAPE.model_copy(update={"feed_forward": 24})
        pretrain_lm(later.model_copy(update={"shape": narrow}), tmp_path / "narrow")


def test_the_folder_loads_in_plain_transformers_and_answers(made: Path) -> None:
    model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(made), AutoTokenizer.from_pretrained(made)
    assert model.dtype == torch.float32
    answer = model.generate(**tokenizer("tea\nRepeat it.", return_tensors="pt"), max_new_tokens=4)
    assert answer.shape[1] <= 5


def test_the_card_has_every_task(made: Path) -> None:
    card = (made / "README.md").read_text()
    assert all(f"| {task} |" in card for task in "asr st ic sf kwe kws er asc ac sc sns".split())


def test_what_disturbs_half_of_the_rows_lies_in_few_directions(maker: SampleMaker) -> None:
    """As loud in either kind of row; a trained model's voice and room lie in few directions beside the words."""
    torch.manual_seed(0)
    beside = StreamedLm(make_lm(SHAPE, maker.tokenizer))._beside(torch.zeros(200, 64, 32))
    ranks = torch.linalg.matrix_rank(beside, rtol=1e-3)
    few = ranks <= DIRECTIONS
    assert 0.35 < few.float().mean() < 0.65 and bool((ranks[~few] == 32).all())
    for rows in (few, ~few):
        assert beside[rows].square().mean().item() == pytest.approx(1.0, abs=0.1)
