"""Which foundations a model stands on: how they are named, found again and recognised, and what
follows from them.
"""

from __future__ import annotations

import copy
import logging
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from speechverse.encoders import SpeechEncoder, load_encoder
from speechverse.errors import CheckpointError
from speechverse.hub import Resolved, folder_fingerprint, loading, local_folder, resolve
from speechverse.models.configuration_speechverse import ModelConfig, SpeechVerseConfig
from speechverse.models.llm import embedding_scale

log = logging.getLogger(__name__)


def find_foundation(
    kind: str,
    config: SpeechVerseConfig,
    folder: Path,
    override: str | Path | None,
    allow_other: bool = False,
) -> Resolved:
    """Finds the encoder or LLM a checkpoint stands on, and makes sure it is the same one.

    Args:
        override: Where the user says it lies now, if not where it lay in training.
        allow_other: Take another one than it was trained with, and only warn.

    Raises:
        CheckpointError: If it is missing, or is another one than the checkpoint was trained with.
    """
    name = override or getattr(config, kind)
    if name is None:
        raise CheckpointError(f"the checkpoint names no {kind}; say which with {kind}=...")
    try:
        # The revision is that of the name it was trained by, and means nothing in another
        # repository.
        revision = getattr(config, f"{kind}_revision") if name == getattr(config, kind) else None
        resolved = resolve(name, revision, relative_to=None if override else folder)
    except CheckpointError as error:
        raise CheckpointError(
            f"the checkpoint's {kind} is not where it was: {error}; say where with {kind}=..."
        ) from error
    found = folder_fingerprint(local_folder(resolved))
    expected = getattr(config, f"{kind}_fingerprint")
    if expected is not None and found != expected:
        what = {"encoder": "speech encoder", "llm": "LLM"}[kind]
        wrong = (
            f"wrong {what}: the checkpoint was trained with fingerprint {expected[:12]}, but"
            f" '{resolved.name}' has {found[:12]}"
        )
        if not allow_other:
            raise CheckpointError(
                f"{wrong}; give the {what} it was trained with ({kind}=..., it was"
                f" '{getattr(config, kind)}'), or take this one all the same with"
                " allow_other_parts=True, if other answers are what you want to measure"
            )
        log.warning("%s; taken because you asked for it, so the answers will be others", wrong)
    return resolved


def identity_of(kind: str, found: Resolved) -> dict[str, str | None]:
    """How a checkpoint will name a foundation and know it again."""
    return {
        kind: found.known_as,
        f"{kind}_revision": found.revision,
        f"{kind}_fingerprint": folder_fingerprint(local_folder(found)),
    }


def read_config(found: Resolved) -> SpeechVerseConfig:
    """A checkpoint's configuration.

    Raises:
        CheckpointError: If it cannot be read, or names a file of code and comes from the hub: what
            others wrote is not run unread.
    """
    with loading("configuration of", found):
        config = SpeechVerseConfig.from_pretrained(local_folder(found))
    if config.encoder_family and not found.is_local:
        raise CheckpointError(
            f"the checkpoint '{found.name}' wants the code '{config.encoder_family}' run for its"
            " encoder; download the checkpoint, read that code, and load the folder"
        )
    if config.encoder_family:
        path, _, name = config.encoder_family.rpartition(":")
        if (beside := local_folder(found) / path).is_file():
            config.choose(encoder_family=f"{beside}:{name}")
    return config


def with_own_code(config: SpeechVerseConfig, folder: Path) -> SpeechVerseConfig:
    """The configuration to write into a folder, beside the user's code of the encoder's family."""
    if config.encoder_family is None:
        return config
    path, _, name = config.encoder_family.rpartition(":")
    target = folder / Path(path).name
    if target.resolve() != Path(path).resolve():
        shutil.copyfile(path, target)
    written = copy.deepcopy(config)
    written.choose(encoder_family=f"{target.name}:{name}")
    return written


def load_chosen_encoder(found: Resolved, chosen: ModelConfig, dtype: torch.dtype) -> SpeechEncoder:
    """The encoder with the layers, the window and the family that were chosen."""
    return load_encoder(
        found.name,
        revision=found.revision,
        num_hidden_layers=chosen.encoder_layers,
        window=chosen.encoder_window,
        family=chosen.encoder_family,
        dtype=dtype,
    )


def config_of(
    chosen: ModelConfig, encoder: SpeechEncoder, llm: PreTrainedModel, facts: dict[str, Any]
) -> SpeechVerseConfig:
    """What was chosen, and what follows from the parts."""
    return SpeechVerseConfig(
        settings=chosen,
        encoder_width=encoder.width,
        num_encoder_layers=encoder.num_layers,
        embedding_scale=embedding_scale(llm) if chosen.downsampler.scale_to_embeddings else 1.0,
        **facts,
    )
