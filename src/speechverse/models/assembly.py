"""Which foundations a model stands on: how they are named, found again and recognised, and what follows from them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from speechverse.encoders import SpeechEncoder
from speechverse.errors import CheckpointError, RecipeError, unknown_name
from speechverse.hub import Resolved, fingerprint, local_folder, resolve
from speechverse.models import lora as adapters
from speechverse.models.configuration_speechverse import DEFAULT_STRIDES, SpeechVerseConfig
from speechverse.models.layer_mixer import LayerMixing
from speechverse.models.llm import embedding_scale, llm_facts

log = logging.getLogger(__name__)

_DOWNSAMPLER_DEFAULTS: dict[str, Any] = {
    "strides": DEFAULT_STRIDES,
    "activation": None,
    "inner_width": None,
    "scale_to_embeddings": False,
    "clip_statistics": False,
}


def find_foundation(
    kind: str, config: SpeechVerseConfig, folder: Path, override: str | Path | None, allow_other: bool = False
) -> Resolved:
    """Finds the encoder or LLM a checkpoint stands on, and makes sure it is the same one.

    Args:
        kind: "encoder" or "llm".
        config: The checkpoint's.
        folder: The checkpoint's.
        override: Where the user says it lies now, if not where it lay in training.
        allow_other: Take another one than it was trained with, and only warn.

    Returns:
        Where it is.

    Raises:
        CheckpointError: If it is missing, or is another one than the checkpoint was trained with.
    """
    name = override or getattr(config, kind)
    if name is None:
        raise CheckpointError(f"the checkpoint names no {kind}; say which with {kind}=...")
    try:
        # The revision is that of the name it was trained by, and means nothing in another repository.
        revision = getattr(config, f"{kind}_revision") if name == getattr(config, kind) else None
        resolved = resolve(name, revision, relative_to=None if override else folder)
    except CheckpointError as error:
        raise CheckpointError(
            f"the checkpoint's {kind} is not where it was: {error}; say where with {kind}=..."
        ) from error
    found, expected = fingerprint(local_folder(resolved)), getattr(config, f"{kind}_fingerprint")
    if expected is not None and found != expected:
        what = {"encoder": "speech encoder", "llm": "LLM"}[kind]
        wrong = (
            f"wrong {what}: the checkpoint was trained with fingerprint {expected[:12]}, but '{resolved.name}' has "
            f"{found[:12]}"
        )
        if not allow_other:
            raise CheckpointError(
                f"{wrong}; give the {what} it was trained with ({kind}=..., it was '{getattr(config, kind)}'), or take "
                "this one all the same with allow_other_parts=True, if other answers are what you want to measure"
            )
        log.warning("%s; taken because you asked for it, so the answers will be others", wrong)
    return resolved


def settings_of(
    encoder: SpeechEncoder,
    llm: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    layer_mixing: LayerMixing,
    downsampler: dict[str, Any] | None,
    lora: dict[str, Any] | None,
) -> dict[str, Any]:
    """The fields of `SpeechVerseConfig` that follow from the parts and from what the user asked for."""
    chosen = _complete("downsampler", downsampler or {}, _DOWNSAMPLER_DEFAULTS)
    return {
        "encoder_width": encoder.width,
        "num_encoder_layers": encoder.num_layers,
        **llm_facts(llm, tokenizer),
        "layer_mixing": layer_mixing,
        "strides": list(chosen["strides"]),
        "activation": chosen["activation"],
        "inner_width": chosen["inner_width"],
        "clip_statistics": chosen["clip_statistics"],
        "embedding_scale": embedding_scale(llm) if chosen["scale_to_embeddings"] else 1.0,
        "lora": None if lora is None else _complete("LoRA", lora, adapters.DEFAULTS),
    }


def _complete(kind: str, settings: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Fills what is not said with the defaults; an unknown key is a `RecipeError`."""
    for key in settings:
        if key not in defaults:
            raise RecipeError(unknown_name(f"{kind} setting", key, defaults))
    return {**defaults, **settings}


def identity_of(kind: str, found: Resolved) -> dict[str, str | None]:
    """How a checkpoint will name a foundation and know it again."""
    return {
        kind: found.known_as,
        f"{kind}_revision": found.revision,
        f"{kind}_fingerprint": fingerprint(local_folder(found)),
    }
