"""LLMs as llama.cpp keeps them (`.gguf`), dequantised into a folder in the hub's format."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speechverse.errors import CheckpointError, first_line
from speechverse.files import write_text
from speechverse.quiet import quiet_transformers

_DIGITS_APART = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
"""Tokenizers that split digits (llama.cpp, llama-vocab.cpp), which transformers skips."""
_ABOUT_READING = {"quantization_config", "transformers_version"}
"""With the first, transformers refuses to save the dequantised weights."""


def is_gguf(file: Path) -> bool:
    """Whether a file is llama.cpp's, by its first bytes."""
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return stream.read(4) == b"GGUF"


def write_llm_folder(source: Path, folder: Path) -> None:
    """Writes a GGUF file's LLM as the hub would keep it, with fp32 weights.

    Raises:
        CheckpointError: If the file is broken or its architecture is not known to transformers.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    pre_tokenizer = _pre_tokenizer_name(source)
    # Alone in a folder: transformers prefers a tokenizer.json that lies beside the file.
    with tempfile.TemporaryDirectory() as alone, _reading(source):
        Path(alone, "model.gguf").symlink_to(source.resolve())
        model = AutoModelForCausalLM.from_pretrained(
            alone, gguf_file="model.gguf", dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(alone, gguf_file="model.gguf")
    _write_settings(folder / "config.json", model.config)
    _write_settings(folder / "generation_config.json", model.generation_config)
    tied = set(model.all_tied_weights_keys)
    state = {
        name: tensor.contiguous() for name, tensor in model.state_dict().items() if name not in tied
    }
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    _save_tokenizer(tokenizer, pre_tokenizer, folder)


def _pre_tokenizer_name(source: Path) -> str | None:
    from gguf import GGUFReader

    try:
        field = GGUFReader(source).get_field("tokenizer.ggml.pre")
    except (ValueError, OSError, IndexError, KeyError) as error:
        raise CheckpointError(
            f"'{source}' is no whole GGUF file ({error}); fetch it anew"
        ) from error
    return None if field is None else field.contents()


@contextlib.contextmanager
def _reading(source: Path) -> Iterator[None]:
    """Words what transformers raises in the block."""
    try:
        # Its bar over the tensors does not ask whether bars are wanted.
        with quiet_transformers(), contextlib.redirect_stderr(io.StringIO()):
            yield
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, IndexError) as error:
        raise CheckpointError(
            f"'{source}' cannot be turned into a transformers model: {first_line(error)}; "
            "fetch it anew, or give the LLM as a folder in the model hub's format"
        ) from error


def _write_settings(file: Path, settings: Any) -> None:
    """Writes a configuration without what tells how and by which version it was read."""
    content = json.loads(settings.to_json_string())
    kept = {
        key: value
        for key, value in content.items()
        if not key.startswith("_") and key not in _ABOUT_READING
    }
    write_text(file, json.dumps(kept, indent=2, sort_keys=True) + "\n")


def _save_tokenizer(tokenizer: Any, pre_tokenizer: str | None, folder: Path) -> None:
    from tokenizers import pre_tokenizers

    if pre_tokenizer in _DIGITS_APART:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
    for about_reading in ("is_local", "local_files_only"):
        tokenizer.init_kwargs.pop(about_reading, None)
    tokenizer.save_pretrained(folder)
