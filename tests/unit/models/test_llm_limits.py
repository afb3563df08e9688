"""What an LLM cannot take is told when it is loaded or before it is asked: ids without embeddings,
long prompts.
"""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
import transformers

from microscopic import bart, byte_level, decoder_only, t5
from speechverse.errors import AudioTooLongError, CheckpointError
from speechverse.hub import resolve
from speechverse.models import SpeechVerseForConditionalGeneration, SpeechVerseProcessor
from speechverse.models.llm import chat_text, load_llm, position_limits

SOUND = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)


def save(folder, llm, **names):
    tokenizer = byte_level([], ["<pad>", "</s>", "<s>"], bos_token="<s>", **names)
    llm(len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return tokenizer


@pytest.mark.parametrize("llm", [decoder_only, t5, bart])
def test_a_word_or_an_end_token_behind_the_embeddings_is_refused_with_both_sizes(
    llm, encoder_folder, tmp_path
) -> None:
    for name, grow in (
        ("end", lambda tokenizer: tokenizer.add_special_tokens({"eos_token": "[END]"})),
        ("word", lambda tokenizer: tokenizer.add_tokens(["kubernetes"])),
    ):
        tokenizer = save(tmp_path / name, llm)
        size = len(tokenizer)
        grow(tokenizer)
        tokenizer.save_pretrained(tmp_path / name)
        with pytest.raises(
            CheckpointError,
            match=rf"gives {size + 1} ids .* embeddings for {size} only; .*none for",
        ):
            SpeechVerseForConditionalGeneration.from_foundations(encoder_folder, tmp_path / name)


def test_a_chat_template_that_writes_todays_date_writes_the_same_every_day() -> None:
    tokenizer = byte_level([], ["<pad>", "</s>"])
    tokenizer.chat_template = (
        "{% if not day is defined %}{% set day = strftime_now('%d %b %Y') %}{% endif %}"
        "{{ day }}: {{ messages[0]['content'] }}"
    )
    turns = [{"role": "user", "content": "Who speaks?"}]
    assert chat_text(tokenizer, turns) == "26 Jul 2024: Who speaks?"


def test_an_llm_whose_layers_want_to_know_each_token_is_refused(tmp_path) -> None:
    transformers.Gemma3nTextConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=2, hidden_size_per_layer_input=8
    ).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="embeddings of every token, and audio has no tokens"):
        load_llm(resolve(tmp_path), torch.float32)


def test_an_llm_that_takes_no_embeddings_to_generate_from_is_refused(tmp_path) -> None:
    config = transformers.OpenAIGPTConfig(vocab_size=64, n_embd=16, n_layer=1, n_head=2)
    transformers.OpenAIGPTLMHeadModel(config).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="OpenAIGPTLMHeadModel. generates from its own token"):
        load_llm(resolve(tmp_path), torch.float32)


def test_a_sign_of_the_chat_template_without_an_embedding_is_refused(
    encoder_folder, tmp_path
) -> None:
    tokenizer = save(tmp_path / "llm", decoder_only)
    tokenizer.add_tokens(["<|user|>"], special_tokens=True)
    tokenizer.chat_template = (
        "{% for m in messages %}<|user|>{{ m['content'] }}{{ eos_token }}{% endfor %}"
    )
    tokenizer.save_pretrained(tmp_path / "llm")
    model = SpeechVerseForConditionalGeneration.from_foundations(encoder_folder, tmp_path / "llm")
    with pytest.raises(CheckpointError, match=r"none for '<\|user\|>'"):
        model.processor()


@pytest.mark.parametrize("llm", [decoder_only, t5, bart])
def test_a_padding_token_behind_the_embeddings_is_served(llm, encoder_folder, tmp_path) -> None:
    tokenizer = save(tmp_path / "llm", llm)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(tmp_path / "llm")
    model = SpeechVerseForConditionalGeneration.from_foundations(
        encoder_folder, tmp_path / "llm"
    ).eval()
    instructions, sounds = ["what", "what is [PAD] said"], [SOUND, SOUND[:9000]]
    batch = model.processor()(instructions, audio=sounds, targets=["tea", "[PAD] and no more"])
    assert model(**batch).loss.isfinite()
    asked = model.processor()(instructions, audio=sounds, generation=True)
    assert len(model.processor().decode(model.generate(**asked, max_new_tokens=4))) == 2


def test_a_checkpoint_whose_tokenizer_grew_is_refused(
    make_model, llm_folders, encoder_folder, tmp_path
) -> None:
    make_model("llama").save_pretrained(tmp_path / "model")
    shutil.copytree(llm_folders["llama"], tmp_path / "llm")
    grown = transformers.AutoTokenizer.from_pretrained(tmp_path / "llm")
    grown.add_tokens([f"new{number}" for number in range(6)])  # five rows of the table are free
    grown.save_pretrained(tmp_path / "llm")
    file = tmp_path / "model" / "config.json"
    file.write_text(
        json.dumps(
            json.loads(file.read_text()) | {"llm": str(tmp_path / "llm"), "llm_fingerprint": None}
        )
    )
    with pytest.raises(CheckpointError, match="embeddings for"):
        SpeechVerseForConditionalGeneration.from_pretrained(tmp_path / "model")
    with pytest.raises(CheckpointError, match="embeddings for"):
        SpeechVerseProcessor.from_pretrained(tmp_path / "model")


def test_a_table_with_rows_to_spare_is_served(encoder_folder, tmp_path) -> None:
    save(tmp_path / "llm", lambda size: decoder_only(size + 59))
    model = SpeechVerseForConditionalGeneration.from_foundations(encoder_folder, tmp_path / "llm")
    assert model(
        **model.processor()(["what is said"], audio=[SOUND], targets=["tea"])
    ).loss.isfinite()


def test_a_padding_id_that_is_no_row_is_not_taken(encoder_folder, tmp_path) -> None:
    tokenizer = save(tmp_path / "llm", lambda size: decoder_only(size, pad_token_id=None))
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path / "llm")
    file = tmp_path / "llm" / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"pad_token_id": -1}))
    model = SpeechVerseForConditionalGeneration.from_foundations(encoder_folder, tmp_path / "llm")
    assert model.config.pad_id == tokenizer.eos_token_id
    model(**model.processor()(["what", "what is said"], audio=[SOUND] * 2, targets=["tea", "no"]))


@pytest.mark.parametrize(
    ("config", "limits"),
    [
        (transformers.GPT2Config(n_positions=96), (96, None)),
        (transformers.OPTConfig(max_position_embeddings=96), (96, None)),
        (transformers.GPTJConfig(n_positions=96), (96, None)),
        (transformers.BloomConfig(), (None, None)),
        (transformers.BartConfig(max_position_embeddings=96), (96, None)),
        (
            transformers.LEDConfig(
                max_encoder_position_embeddings=512, max_decoder_position_embeddings=96
            ),
            (512, 96),
        ),
        (transformers.T5Config(n_positions=96), (None, None)),
    ],
)
def test_positions_are_found_under_every_familys_name(config, limits) -> None:
    assert position_limits(config) == limits


@pytest.mark.parametrize("llm", ["bart", "llama"])
def test_prompt_and_answer_are_held_to_the_positions_together_where_they_share_them(
    llm, make_model
) -> None:
    model = make_model(llm)
    processor, limit = model.processor(), model.config.llm_max_positions
    prompt, _ = processor.lengths("what is said", num_samples=16_000)
    room = processor.room(prompt)
    assert room == (limit if llm == "bart" else limit - prompt)
    fitting, too_long = "\t" * (room - 1), "\t" * room  # one token each, and the end
    with torch.no_grad():
        assert model(
            **processor(["what is said"], audio=[SOUND], targets=[fitting])
        ).loss.isfinite()
    with pytest.raises(AudioTooLongError, match=f"more than the {limit}"):
        processor(["what is said"], audio=[SOUND], targets=[too_long])
