"""Microscopic random parts in transformers' own classes; a test names what it needs otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

if TYPE_CHECKING:
    from speechverse.encoders import SpeechEncoder
    from speechverse.models import SpeechVerseForConditionalGeneration

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] | trim"
    " }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def byte_level(
    texts: Iterable[str], special: Iterable[str], size: int = 340, **names: Any
) -> PreTrainedTokenizerFast:
    """As BART's, GPT-2's and Qwen's: byte-level BPE; ids of `special` come first, `names` say what
    they are for.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(special),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    names = {"pad_token": "<pad>", "eos_token": "</s>", **names}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def chatting(texts: Iterable[str], size: int = 340) -> PreTrainedTokenizerFast:
    """Byte-level BPE with a chat template and the signs of turns, as SmolLM2's and Qwen's."""
    turns = ["<|user|>", "<|assistant|>", "<|end|>"]
    special = ["<pad>", "</s>", "<s>", "<unk>", *turns]
    names = {"bos_token": "<s>", "unk_token": "<unk>", "additional_special_tokens": turns}
    tokenizer = byte_level(texts, special, size, **names)
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def by_characters(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """BPE over the characters of its texts alone, small and with nothing to fall back on: much
    cannot be spelt.
    """
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=200, special_tokens=special, show_progress=False)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def unigram(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """As T5's: Unigram pieces, words joined to the space before them."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=120,
        special_tokens=special,
        unk_token="<unk>",
        initial_alphabet=list("abcdefghijklmnopqrstuvwxyz=;"),
    )
    tokenizer.train_from_iterator(texts, trainer)
    # Its scores, and their order, differ from process to process: the fewest pieces win instead;
    # in this order random LLMs write texts of many pieces.
    pieces = set(tokenizer.get_vocab()) - set(special)
    learned = sorted(pieces, key=lambda piece: (piece[-1], len(piece), piece))
    scored = [(piece, -1 - 0.001 * rank) for rank, piece in enumerate(learned)]
    tokenizer.model = models.Unigram([(sign, 0.0) for sign in special] + scored, unk_id=2)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def byte_fallback(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """As Llama 2's: BPE over characters with bytes to fall back on, spaces as a character."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=list("abcdefghijklmnopqrstuvwxyz_=;▁"),
        limit_alphabet=30,
        show_progress=False,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="</s>",
    )


def conformer(**changes: Any) -> transformers.Wav2Vec2BertConfig:
    sizes = {
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
        "feature_projection_input_dim": 320, "conv_depthwise_kernel_size": 5, "layerdrop": 0.0,
    }  # fmt: skip
    return transformers.Wav2Vec2BertConfig(**{**sizes, **changes})


def save_conformer(folder: Path, **changes: Any) -> Path:
    """A random BEST-RQ Conformer, with a CTC head where there is a `vocab_size`: 25 frames a
    second.
    """
    kind = (
        transformers.Wav2Vec2BertForCTC
        if "vocab_size" in changes
        else transformers.Wav2Vec2BertModel
    )
    kind(conformer(**changes)).save_pretrained(folder)
    transformers.SeamlessM4TFeatureExtractor(stride=4).save_pretrained(folder)
    return folder


def t5(vocabulary: int, **changes: Any) -> transformers.T5ForConditionalGeneration:
    sizes = {
        "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0,
        "dropout_rate": 0.0,
    }  # fmt: skip
    return transformers.T5ForConditionalGeneration(
        transformers.T5Config(vocab_size=vocabulary, **{**sizes, **changes})
    )


def bart(
    vocabulary: int, kind: str = "Bart", *, layers: int = 1, **changes: Any
) -> transformers.PreTrainedModel:
    """BART, or one of its kin (`kind` is "Pegasus", "MBart")."""
    sides = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in {"layers": layers, "attention_heads": 2, "ffn_dim": 16}.items()
    }
    sizes = {
        "d_model": 16,
        "max_position_embeddings": 256,
        "decoder_start_token_id": 2,
        "forced_eos_token_id": None,
    }
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=vocabulary, **{**sides, **sizes, **changes}
    )
    return getattr(transformers, f"{kind}ForConditionalGeneration")(config)


def decoder_only(
    vocabulary: int, kind: str = "Llama", **changes: Any
) -> transformers.PreTrainedModel:
    """Llama, or one of its kin (`kind` is "Qwen2", "Gemma")."""
    sizes = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "max_position_embeddings": 256,
    }  # fmt: skip
    config = getattr(transformers, f"{kind}Config")(vocab_size=vocabulary, **{**sizes, **changes})
    return getattr(transformers, f"{kind}ForCausalLM")(config)


def whisper(
    vocabulary: int, seconds: int = 2, **changes: Any
) -> transformers.WhisperForConditionalGeneration:
    """Whisper, encoder and decoder, that hears so many seconds at most."""
    sizes = {
        "d_model": 16, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24,
        "max_source_positions": 50 * seconds, "max_target_positions": 48, "num_mel_bins": 80, "pad_token_id": 0,
        "bos_token_id": 1, "eos_token_id": 1, "decoder_start_token_id": 2,
    }  # fmt: skip
    config = transformers.WhisperConfig(vocab_size=vocabulary, **{**sizes, **changes})
    model = transformers.WhisperForConditionalGeneration(config)
    model.generation_config.suppress_tokens = model.generation_config.begin_suppress_tokens = None
    return model


def save_whisper(
    folder: Path, pieces: PreTrainedTokenizerFast, seconds: int = 2, **changes: Any
) -> Path:
    """A random Whisper with its tokenizer, as a folder of the hub."""
    whisper(len(pieces), seconds, **changes).save_pretrained(folder)
    transformers.WhisperFeatureExtractor(chunk_length=seconds).save_pretrained(folder)
    pieces.save_pretrained(folder)
    return folder


def save_letters_checkpoint(root: Path, **settings: Any) -> Path:
    """A random checkpoint that reads letters: a Conformer and a T5 in folders beside it."""
    from speechverse.models import SpeechVerseForConditionalGeneration

    letters = byte_level([], ["<pad>", "</s>"])
    torch.manual_seed(0)
    save_conformer(root / "encoder")
    t5(len(letters)).save_pretrained(root / "llm")
    letters.save_pretrained(root / "llm")
    made = SpeechVerseForConditionalGeneration.from_foundations(
        root / "encoder", root / "llm", **settings
    )
    made.save_pretrained(root / "model")
    return root / "model"


def encoder_of(config: transformers.PreTrainedConfig) -> SpeechEncoder:
    """A Conformer's or a wav2vec 2.0's encoder with random weights; on `torch.device("meta")` it
    takes no memory.
    """
    from speechverse.encoders import FAMILIES

    family, stacked = (
        FAMILIES[config.model_type],
        isinstance(config, transformers.Wav2Vec2BertConfig),
    )
    extractor = (
        transformers.SeamlessM4TFeatureExtractor(stride=4)
        if stacked
        else transformers.Wav2Vec2FeatureExtractor()
    )
    return family(family.model_class(config)(config), family.front_end_class(config, extractor))


def model_of(
    encoder_config: transformers.PreTrainedConfig,
    llm_config: transformers.PreTrainedConfig,
    **settings: Any,
) -> SpeechVerseForConditionalGeneration:
    """A model with random weights over parts that lie nowhere."""
    from speechverse.models import ModelConfig, SpeechVerseForConditionalGeneration
    from speechverse.models.assembly import config_of
    from speechverse.models.llm import llm_facts, llm_from_config

    encoder, llm = encoder_of(encoder_config), llm_from_config(llm_config)
    letters = byte_level([], ["<pad>", "</s>"])
    config = config_of(ModelConfig.of(settings), encoder, llm, llm_facts(llm, letters))
    return SpeechVerseForConditionalGeneration(config, encoder, llm)
