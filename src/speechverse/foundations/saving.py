"""A frozen part's folder in the hub's format: fp16 weights that load as fp32, tokenizer, card and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from speechverse.encoders.contract import FrontEnd
from speechverse.files import whole_folder


def save_foundation(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast | None,
    card: str,
    figures: Mapping[str, Any],
    front_end: FrontEnd | None = None,
) -> Path:
    """Writes the folder whole or not at all, and leaves the model in fp32.

    Half precision halves the file; the config says float32, so that plain transformers computes in it on any CPU.
    """
    with whole_folder(folder) as scratch:
        model.to(torch.float16).save_pretrained(scratch)
        model.to(torch.float32)
        if tokenizer is not None:
            tokenizer.save_pretrained(scratch)
        if front_end is not None:
            front_end.feature_extractor.save_pretrained(scratch)
        config = json.loads((scratch / "config.json").read_text())
        (scratch / "config.json").write_text(json.dumps(config | {"dtype": "float32"}, indent=2, sort_keys=True) + "\n")
        (scratch / "figures.json").write_text(json.dumps(dict(figures), indent=1) + "\n")
        (scratch / "README.md").write_text(card)
    return folder
