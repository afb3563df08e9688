"""The model over every kind of LLM: batches, text mode, kept features, frozen parts."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import transformers

from microscopic import model_of
from speechverse.encoders import EncoderOutput
from speechverse.errors import AudioTooLongError, RecipeError, UserError
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.models.llm import embed_tokens
from speechverse.models.lora import LoraConfig

LLMS = ["t5", "bart", "pegasus", "mbart", "llama", "llama-base", "qwen2", "gemma"]
every_llm = pytest.mark.parametrize("llm", LLMS)
TARGETS = ["happy", "turn on the radio now", "sad"]


def features_of(model: SpeechVerseForConditionalGeneration, waveforms: list) -> list[torch.Tensor]:
    output = model.encode(model.encoder.prepare(waveforms))
    return [output.hidden_states[:, row, :length] for row, length in enumerate(output.lengths)]


def label_losses(model, processor, instructions, targets, **source) -> list[torch.Tensor]:
    """Negative log-likelihood of each label of each row."""
    batch = processor(instructions, targets=targets, **source)
    with torch.no_grad():
        logits = model(**batch).logits
    labels = batch["labels"]
    losses = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none", ignore_index=-100)
    return [row[keep] for row, keep in zip(losses, labels != -100, strict=True)]


@every_llm
def test_a_batch_scores_and_answers_like_single_examples(
    llm, make_model, waveforms, instructions
) -> None:
    model = make_model(llm)
    processor = model.processor()
    together = label_losses(model, processor, instructions, TARGETS, audio=waveforms)
    batch = processor(instructions, audio=waveforms, generation=True)
    texts = processor.decode(model.generate(**batch, max_new_tokens=8))
    for row in range(3):
        one = {"audio": waveforms[row : row + 1]}
        alone = label_losses(
            model, processor, instructions[row : row + 1], TARGETS[row : row + 1], **one
        )[0]
        torch.testing.assert_close(alone, together[row], atol=1e-4, rtol=1e-4)
        ids = model.generate(
            **processor(instructions[row : row + 1], generation=True, **one), max_new_tokens=8
        )
        assert processor.decode(ids) == texts[row : row + 1]
        assert ids.shape[1] <= 8
    assert len(set(texts)) > 1


@every_llm
def test_audio_and_kept_features_give_the_same(llm, make_model, waveforms, instructions) -> None:
    model = make_model(llm)
    processor = model.processor()
    audio = model(**processor(instructions, audio=waveforms, targets=TARGETS))
    kept = model(**processor(instructions, features=features_of(model, waveforms), targets=TARGETS))
    torch.testing.assert_close(kept.logits, audio.logits, atol=1e-4, rtol=1e-4)
    half = [feature.half() for feature in features_of(model, waveforms)]
    assert model(**processor(instructions, features=half, targets=TARGETS)).loss.isfinite()


@every_llm
def test_text_mode_is_the_llm_reading_its_own_ids(llm, make_model, instructions) -> None:
    model = make_model(llm)
    processor = model.processor()
    batch = processor(instructions, transcripts=["play jazz", "turn on", "happy"], targets=TARGETS)
    assert (batch["input_ids"] != model.config.audio_token_id).all()
    adapted = model(**batch).logits
    with torch.no_grad(), model.without_lora():
        ours = model(**batch).logits
        decoder = {key: batch[key] for key in ("decoder_input_ids",) if key in batch}
        theirs = model.llm(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], **decoder
        ).logits
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(adapted, ours, atol=1e-3)


@every_llm
def test_the_loss_is_the_likelihood_of_the_target_and_its_end(
    llm, make_model, waveforms, instructions
) -> None:
    model = make_model(llm)
    processor = model.processor()
    batch = processor(instructions, audio=waveforms, targets=TARGETS)
    labels = [row[row != -100].tolist() for row in batch["labels"]]
    assert labels == [processor.encode_target(target) for target in TARGETS]
    assert all(processor.end_token_id in row for row in labels)
    assert processor.decode(labels) == TARGETS
    output = model(**batch)
    flat = F.cross_entropy(
        output.logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=-100
    )
    torch.testing.assert_close(output.loss, flat)


@every_llm
def test_what_is_generated_is_what_the_logits_say(llm, make_model, waveforms, instructions) -> None:
    """The likeliest first token by `forward` is the first new token of `generate`: one convention
    for both.
    """
    model = make_model(llm)
    processor = model.processor()
    generated = model.generate(
        **processor(instructions, audio=waveforms, generation=True),
        max_new_tokens=1,
        min_new_tokens=1,
    )
    scored = processor(instructions, audio=waveforms, targets=TARGETS)
    logits = model(**scored).logits
    first = (scored["labels"] != -100).int().argmax(dim=1)
    picked = logits[torch.arange(3), first]
    picked[:, model.llm.generation_config.eos_token_id] = float("-inf")
    assert generated[:, 0].tolist() == picked.argmax(dim=1).tolist()


@every_llm
def test_positions_are_counted_without_audio(llm, make_model, waveforms, instructions) -> None:
    model = make_model(llm)
    processor = model.processor()
    for waveform, instruction, target in zip(waveforms, instructions, TARGETS, strict=True):
        batch = processor([instruction], audio=[waveform], targets=[target])
        read = batch["input_ids"].shape[1]
        answer = batch["labels"].shape[1] if "decoder_input_ids" in batch else 1
        assert (
            processor.num_positions(instruction, target, num_samples=len(waveform)) == read + answer
        )


@every_llm
@pytest.mark.parametrize("part", ["mixer", "downsampler", "lora"])
def test_a_step_moves_what_learns_and_nothing_else(
    llm, part, make_model, waveforms, instructions
) -> None:
    model = make_model(llm)
    batch = model.processor()(instructions, audio=waveforms, targets=TARGETS)
    model.set_trainable([part])
    model.train()
    assert not model.encoder.training and not model.llm.training
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(**batch).loss.backward()
    optimizer.step()
    moved = {
        name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])
    }
    assert moved == learning and learning
    belonging = {
        "mixer": {"mixer"},
        "downsampler": {"downsampler", "clip_statistics"},
        "lora": {"llm"},
    }
    assert {name.split(".")[0] for name in moved} == belonging[part]


@every_llm
def test_audio_lies_over_the_placeholders_and_learns_from_them(
    llm, make_model, waveforms, instructions
) -> None:
    model = make_model(llm)
    batch = model.processor()(instructions, audio=waveforms, generation=True)
    output = model.encode(batch["audio_inputs"])
    audio, lengths = model.embed_audio(output)
    expected = embed_tokens(
        model.llm, batch["input_ids"].where(batch["input_ids"] < model.config.audio_token_id, 0)
    )
    for row, length in enumerate(lengths):
        expected[row, batch["input_ids"][row] == model.config.audio_token_id] = audio[row, :length]
    embedded = model.embed_prompt(batch["input_ids"], encoder_output=output)
    true = batch["attention_mask"].bool()
    assert torch.equal(embedded[true], expected[true])
    down = list(model.downsampler.parameters())
    gradients = [
        torch.autograd.grad(made[true].square().sum(), down) for made in (embedded, expected)
    ]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*gradients, strict=True))


@pytest.mark.parametrize("mixing", ["paper", "softmax", "last"])
@pytest.mark.parametrize("llm", ["t5", "qwen2"])
def test_embedding_a_prompt_never_waits_for_the_device(
    llm, mixing, encoder_folder, llm_folders
) -> None:
    """On the meta device, where there are no values to wait for, everything that would ask for one
    fails.
    """
    configs = [
        transformers.AutoConfig.from_pretrained(folder)
        for folder in (encoder_folder, llm_folders[llm])
    ]
    with torch.device("meta"):
        downsampler = {"strides": [2, 2], "clip_statistics": mixing == "softmax"}
        model = model_of(*configs, layer_mixing=mixing, downsampler=downsampler)
        output = EncoderOutput(torch.ones(3, 2, 9, 16), torch.ones(2, dtype=torch.long))
        embedded = model.embed_prompt(torch.ones(2, 7, dtype=torch.long), encoder_output=output)
        embedded.sum().backward()
    assert embedded.shape == (2, 7, 24)
    parts = [
        model.mixer,
        model.downsampler,
        *([model.clip_statistics] if model.clip_statistics else []),
    ]
    assert all(p.grad is not None for part in parts for p in part.parameters())


def test_what_a_clip_tells_is_added_to_all_its_positions_in_the_embeddings_scale(
    make_model,
) -> None:
    model = make_model("t5")
    output = EncoderOutput(torch.randn(3, 1, 9, 16), torch.tensor([9]))
    before, _ = model.embed_audio(output)
    told = torch.randn(model.config.llm_width)
    with torch.no_grad():
        model.clip_statistics.projection.bias += told
    after, _ = model.embed_audio(output)
    assert model.config.embedding_scale != 1
    torch.testing.assert_close(
        after - before, (model.config.embedding_scale * told).expand_as(before)
    )


def test_prompts_of_another_model_s_processor_are_refused(
    make_model, waveforms, instructions
) -> None:
    model, other = make_model("t5"), make_model("t5", downsampler={"strides": [2, 2]})
    with pytest.raises(
        ValueError, match=r"prompts keep .* audio takes .* processor of this very model"
    ):
        model(**other.processor()(instructions, audio=waveforms, targets=TARGETS))


def test_decoder_only_prompts_use_the_chat_template(make_model, waveforms) -> None:
    processor = make_model("qwen2").processor()
    text = processor.tokenizer.decode(
        processor(["transcribe the audio"], transcripts=["happy"])["input_ids"][0]
    )
    assert text == "<|user|>happy\ntranscribe the audio<|end|>\n<|assistant|>"
    assert processor.tokenizer.decode(processor.encode_target("sad")) == "sad<|end|>"
    left = processor(["transcribe the audio"] * 2, audio=waveforms[:2], generation=True)[
        "attention_mask"
    ]
    right = processor(["transcribe the audio"] * 2, audio=waveforms[:2], targets=["sad"] * 2)[
        "attention_mask"
    ]
    assert left[0, 0] == 0 and left[:, -1].all() and right[0, -1] == 0 and right[:, 0].all()


def test_generation_options_pass_through(make_model, waveforms, instructions) -> None:
    for llm in ("pegasus", "qwen2"):
        model = make_model(llm)
        batch = model.processor()(instructions, audio=waveforms, generation=True)
        output = model.generate(
            **batch, max_new_tokens=5, num_beams=2, return_dict_in_generate=True
        )
        assert torch.equal(output.sequences, model.generate(**batch, max_new_tokens=5, num_beams=2))
        assert output.sequences.shape[1] <= 5


def test_audio_over_the_limit_is_refused(make_model, waveforms) -> None:
    model = make_model("t5", max_audio_seconds=1.0)
    with pytest.raises(
        AudioTooLongError, match=r"1\.25 s is longer than the 1 s this model accepts"
    ):
        model.processor()(["transcribe the audio"], audio=waveforms[1:2])


def test_more_positions_than_the_llm_reads_are_refused(make_model, waveforms) -> None:
    processor = make_model("bart").processor()
    with pytest.raises(AudioTooLongError, match="more than the 128"):
        processor(["what is being said " * 20], audio=waveforms[:1])


def test_wrong_batches_are_refused(make_model, waveforms) -> None:
    processor = make_model("t5").processor()
    with pytest.raises(UserError, match="exactly one of"):
        processor(["a"])
    with pytest.raises(UserError, match="exactly one of"):
        processor(["a"], audio=waveforms[:1], transcripts=["b"])
    with pytest.raises(UserError, match="2 instructions but 1 audio"):
        processor(["a", "b"], audio=waveforms[:1])
    with pytest.raises(UserError, match="leave them out"):
        processor(["a"], audio=waveforms[:1], targets=["b"], generation=True)


def test_wrong_settings_are_named(make_model) -> None:
    for options, message in [
        ({"downsampler": {"stride": [2]}}, "did you mean 'strides'"),
        ({"downsampler": {"strides": [0]}}, "strides"),
        ({"downsampler": {"activation": "gelo"}}, "did you mean 'gelu'"),
        ({"layer_mixing": "papre"}, "did you mean 'paper'"),
        ({"lora": {"rnk": 4}}, "did you mean 'rank'"),
        ({"lora": {"targets": ["nothing"]}}, "linear layers"),
        ({"prompt_template": "{audio}"}, "instruction"),
    ]:
        with pytest.raises(RecipeError, match=message):
            make_model("t5", **options)
    with pytest.raises(RecipeError, match="part to train 'lorra'"):
        make_model("t5").set_trainable(["lorra"])
    with pytest.raises(RecipeError, match="no LoRA"):
        make_model("t5", lora=None).set_trainable(["lora"])


def test_fp16_is_refused_for_t5_only(make_model, waveforms, instructions) -> None:
    with pytest.raises(RecipeError, match="T5 model overflows in fp16"):
        make_model("t5", dtype=torch.float16)
    model = make_model("llama", dtype=torch.bfloat16)
    batch = model.processor()(instructions, audio=waveforms, targets=TARGETS)
    assert model(**batch).loss.isfinite()
    assert all(
        p.dtype == torch.float32
        for group in ("mixer", "downsampler", "lora")
        for p in model.trainable_parts()[group]
    )


def test_lora_can_join_later_as_an_identity(make_model, waveforms, instructions) -> None:
    model = make_model("pegasus", lora=None)
    batch = model.processor()(instructions, audio=waveforms, targets=TARGETS)
    before = model(**batch).logits
    model.add_lora(LoraConfig(rank=2, alpha=4, dropout=0.0, targets="all-linear"))
    model.set_trainable(["mixer", "downsampler", "lora"])
    torch.testing.assert_close(model(**batch).logits, before)
    report = {count.part: count for count in model.parameter_report()}
    assert (
        report["lora"].trainable
        == report["lora"].total
        > 0
        == report["llm"].trainable
        == report["encoder"].trainable
    )
    with pytest.raises(RecipeError, match="already"):
        model.add_lora(LoraConfig())


@every_llm
def test_each_label_has_a_token_that_tells_it(llm, make_model) -> None:
    processor = make_model(llm).processor()
    ids = {
        text: processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        for text in ("one sad", "one happy")
    }
    shared = set(ids["one sad"]) & set(ids["one happy"])
    assert ids["one sad"][0] in shared, "labels that begin alike"
    sad, happy, empty = processor.distinguishing_tokens(["one sad", "one happy", ""])
    assert sad in set(ids["one sad"]) - shared and happy in set(ids["one happy"]) - shared
    assert empty == processor.end_token_id
    assert (
        processor.distinguishing_tokens(["sad", "sad"])
        == (processor.distinguishing_tokens(["sad"])[0],) * 2
    )
