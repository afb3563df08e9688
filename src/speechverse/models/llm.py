"""What kinds of LLM there are: loading, special tokens, embeddings as the LLM
itself computes them.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection
from inspect import signature
from typing import Any

import torch
from jinja2 import TemplateSyntaxError
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from speechverse.errors import CheckpointError, RecipeError
from speechverse.hub import Resolved, loading
from speechverse.models.plain_text import control_signs, unknown_ids

OVERFLOWS_IN_FP16 = {"t5", "mt5", "umt5", "longt5", "switch_transformers"}
"""Trained in bfloat16: their activations leave float16's range (transformers#9295, #4287)."""


def check_precision(llm_config: PreTrainedConfig, dtype: torch.dtype) -> None:
    """Refuses precisions in which an LLM is known to break.

    Raises:
        RecipeError: For float16 with the T5 family.
    """
    if dtype == torch.float16 and llm_config.model_type in OVERFLOWS_IN_FP16:
        raise RecipeError(
            f"a {llm_config.model_type.upper()} model overflows in fp16; "
            "use bf16, or fp32 where the device has no bf16 units"
        )


_SAME_DAY = (
    "{%- macro strftime_now(format) -%}{{ format"
    + "".join(
        f" | replace('{sign}', '{datetime.datetime(2024, 7, 26).strftime(sign)}')"
        for sign in ("%d", "%m", "%Y", "%y", "%b", "%B", "%a", "%A", "%H", "%M", "%S")
    )
    + " }}{%- endmacro %}"
)
"""Goes before chat templates that write today's date: the same prompt must be the same every day.
The day is the one that Llama 3's own template takes where it has no clock."""


def load_llm(resolved: Resolved, dtype: torch.dtype) -> PreTrainedModel:
    """Loads a frozen LLM of either kind.

    Raises:
        CheckpointError: If it is not whole, or cannot read what is not its own tokens.
        RecipeError: As `check_precision`.
    """
    with loading("LLM", resolved):
        config = AutoConfig.from_pretrained(resolved.name, revision=resolved.revision)
    check_precision(config, dtype)
    if getattr(config.get_text_config(), "hidden_size_per_layer_input", 0):
        raise CheckpointError(
            f"the LLM '{resolved.name}' ({config.model_type}) gives layers embeddings of every"
            " token, and audio has no tokens; choose an LLM without (Gemma 3, Llama, Qwen, ...)"
        )
    with loading("LLM", resolved):
        llm, info = _auto_class(config).from_pretrained(
            resolved.name,
            revision=resolved.revision,
            config=config,
            dtype=dtype,
            output_loading_info=True,
        )
    forwards = signature(llm.prepare_inputs_for_generation).parameters
    if not (config.is_encoder_decoder or "inputs_embeds" in forwards):
        raise CheckpointError(
            f"the LLM '{resolved.name}' ({type(llm).__name__}) generates from its own tokens alone,"
            " and audio has no tokens; choose an LLM of text that takes embeddings (Gemma 3 1B,"
            " Llama, Qwen, ...)"
        )
    if info["missing_keys"]:
        missing = min(info["missing_keys"])
        raise CheckpointError(
            f"the LLM '{resolved.name}' lacks weights, such as '{missing}'; it is not whole"
        )
    return llm


def llm_from_config(config: PreTrainedConfig) -> PreTrainedModel:
    """Builds an LLM with random weights."""
    return _auto_class(config).from_config(config)


def _auto_class(config: PreTrainedConfig) -> Any:
    return AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM


def load_tokenizer(resolved: Resolved) -> PreTrainedTokenizerBase:
    with loading("tokenizer of", resolved):
        return AutoTokenizer.from_pretrained(resolved.name, revision=resolved.revision)


def load_llm_and_tokenizer(
    resolved: Resolved, dtype: torch.dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Loads both, and sees to it that they fit: see `load_llm` and `check_vocabulary`."""
    tokenizer, llm = load_tokenizer(resolved), load_llm(resolved, dtype)
    num_embeddings = llm.get_input_embeddings().weight.shape[0]
    check_vocabulary(tokenizer, num_embeddings, str(resolved.name), {end_of_turn_id(tokenizer)})
    return llm, tokenizer


def check_vocabulary(
    tokenizer: PreTrainedTokenizerBase, num_embeddings: int, name: str, used: Collection[int] = ()
) -> None:
    """Whether the LLM has an embedding for every id that it may be given; more rows than ids are
    but padding.

    Args:
        used: Control signs that prompts or answers hold. Others, such as padding, no text can
            bring.

    Raises:
        CheckpointError: If an embedding is missing, with both sizes.
    """
    beyond = {
        piece: number for piece, number in tokenizer.get_vocab().items() if number >= num_embeddings
    }
    if not beyond:
        return
    idle = control_signs(tokenizer).items() - {
        (piece, number) for piece, number in beyond.items() if number in used
    }
    unknown = unknown_ids(tokenizer)
    needed = {
        p: number for p, number in beyond.items() if (p, number) not in idle or number in unknown
    }
    if needed:
        size, first = max(beyond.values()) + 1, min(needed, key=needed.__getitem__)
        raise CheckpointError(
            f"the tokenizer of the LLM '{name}' gives {size} ids (up to {size - 1}), but the LLM"
            f" has embeddings for {num_embeddings} only; there is none for '{first}'. Add rows to"
            " the LLM (llm.resize_token_embeddings) and save it anew, or use the tokenizer it was"
            " trained with"
        )


def position_limits(config: PreTrainedConfig) -> tuple[int | None, int | None]:
    """The longest input an LLM reads, and the longest answer its decoder writes where that is
    another limit.
    """
    config = config.get_text_config()  # of a model that sees or hears too
    read = _first_known(
        config, "max_position_embeddings", "n_positions", "max_encoder_position_embeddings"
    )
    write = (
        _first_known(config, "max_decoder_position_embeddings")
        if config.is_encoder_decoder
        else None
    )
    relative = (
        config.model_type in OVERFLOWS_IN_FP16
    )  # T5's family again, whose n_positions bounds nothing
    return (None if relative else read), write


def _first_known(config: PreTrainedConfig, *names: str) -> int | None:
    values = (getattr(config, name, None) for name in names)
    return next((value for value in values if isinstance(value, int) and value > 0), None)


def embed_tokens(llm: PreTrainedModel, input_ids: Tensor) -> Tensor:
    """What the LLM itself would make of ids before its first layer, and takes as `inputs_embeds`.

    Most scale inside the embedding module; Pegasus and Marian do so in the encoder, and only for
    ids.
    """
    embeddings = llm.get_input_embeddings()(input_ids)
    scale = getattr(llm.get_encoder(), "embed_scale", 1.0) if llm.config.is_encoder_decoder else 1.0
    return embeddings * scale if scale != 1.0 else embeddings


def embedding_scale(llm: PreTrainedModel) -> float:
    """Root mean square of the elements of the LLM's embeddings, as the LLM sees them."""
    weight = llm.get_input_embeddings().weight
    if weight.is_meta:
        return 1.0
    sample = torch.arange(0, len(weight), max(1, len(weight) // 4096), device=weight.device)
    with torch.no_grad():
        return embed_tokens(llm, sample[None]).float().square().mean().sqrt().item()


def llm_facts(llm: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """What `SpeechVerseConfig` keeps of an LLM, so that the processor needs no weights."""
    config, generation, end = llm.config, llm.generation_config, end_of_turn_id(tokenizer)
    num_embeddings, width = llm.get_input_embeddings().weight.shape
    pads = (tokenizer.pad_token_id, generation.pad_token_id, end, 0)
    read, write = position_limits(config)
    start = generation.decoder_start_token_id
    if config.is_encoder_decoder and start is None:
        start = getattr(config, "decoder_start_token_id", None)
    return {
        "llm_width": width,
        "llm_max_positions": read,
        "llm_max_answer": write,
        "is_encoder_decoder": config.is_encoder_decoder,
        "start_id": start,
        "end_id": end,
        "pad_id": next(pad for pad in pads if pad is not None and 0 <= pad < num_embeddings),
        "audio_token_id": num_embeddings,
    }


def chat_text(
    tokenizer: PreTrainedTokenizerBase, turns: list[dict[str, str]], **options: Any
) -> str:
    """Turns as the LLM's chat template writes them.

    Raises:
        CheckpointError: If the template is broken.
        TemplateError: If it refuses such turns.
    """
    template = tokenizer.get_chat_template() if tokenizer.chat_template else ""
    if "strftime_now" in template:
        options = {"chat_template": _SAME_DAY + template, **options}
    try:
        return str(tokenizer.apply_chat_template(turns, tokenize=False, **options))
    except TemplateSyntaxError as error:
        raise CheckpointError(
            f"the chat template of the LLM '{tokenizer.name_or_path}' is broken or cut off (line"
            f" {error.lineno}: {error.message}); get the LLM anew, or mend its template"
        ) from error


def end_of_turn_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token that ends an answer: what the chat template writes behind one, else the end of
    sequence.

    Raises:
        CheckpointError: If the tokenizer has no end token at all.
    """
    if tokenizer.chat_template:
        turns = [
            {"role": "user", "content": "question"},
            {"role": "assistant", "content": "ANSWER"},
        ]
        tail = chat_text(tokenizer, turns).rpartition("ANSWER")[2].lstrip()
        ids = tokenizer(tail, add_special_tokens=False)["input_ids"] if tail else []
        special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
        if ids and ids[0] in special:
            return ids[0]
    if tokenizer.eos_token_id is None:
        raise CheckpointError(
            "the LLM's tokenizer names no end-of-sequence token (eos_token), so answers could"
            " not end"
        )
    return tokenizer.eos_token_id


def greedy_generation(
    llm: PreTrainedModel, start_id: int | None, end_id: int | None, pad_id: int
) -> GenerationConfig:
    """Greedy decoding with the LLM's own special tokens and none of its habits (sampling, beams,
    forced lengths).
    """
    own = llm.generation_config
    ends = own.eos_token_id if isinstance(own.eos_token_id, list) else [own.eos_token_id]
    return GenerationConfig(
        bos_token_id=own.bos_token_id,
        decoder_start_token_id=start_id,
        forced_bos_token_id=own.forced_bos_token_id,
        eos_token_id=sorted({end for end in (*ends, end_id) if end is not None}) or None,
        pad_token_id=pad_id,
        max_new_tokens=256,
    )
