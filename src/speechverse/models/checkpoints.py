"""Reading and writing checkpoints: only what was trained, with fingerprints of what it stands on;
and whole exports.
"""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from torch import Tensor

from speechverse.errors import CheckpointError
from speechverse.files import atomic_folder, atomic_write, write_text
from speechverse.hub import folder_fingerprint, local_folder, read_weights, resolve, weight_files
from speechverse.models import lora
from speechverse.models.assembly import with_own_code
from speechverse.models.llm import load_tokenizer
from speechverse.quiet import quiet_transformers

if TYPE_CHECKING:
    from speechverse.models.modeling_speechverse import SpeechVerseForConditionalGeneration

WEIGHTS = "adapter.safetensors"
LORA_FOLDER = "lora"
_OWN_PARTS = ("mixer.", "downsampler.", "clip_statistics.")


def checkpoint_folder(name_or_path: str | Path, revision: str | None = None) -> Path:
    """The folder of a checkpoint.

    Raises:
        CheckpointError: If there is none, or it is not a SpeechVerse checkpoint.
    """
    folder = local_folder(resolve(name_or_path, revision))
    for file in ("config.json", WEIGHTS):
        if not (folder / file).is_file():
            raise CheckpointError(
                f"'{name_or_path}' is not a whole SpeechVerse checkpoint: it holds no {file}"
            )
    return folder


def trained_state(model: SpeechVerseForConditionalGeneration) -> dict[str, Tensor]:
    """Weights that are this model's own: mixer, downsampler and, where a stage trained it, the
    encoder.
    """
    parts = (*_OWN_PARTS, "encoder.") if model.config.encoder_trained else _OWN_PARTS
    return {name: tensor for name, tensor in model.state_dict().items() if name.startswith(parts)}


def _write_trained(
    model: SpeechVerseForConditionalGeneration, file: Path, dtype: torch.dtype | None = None
) -> None:
    weights = {
        name: tensor.to("cpu", dtype).contiguous() for name, tensor in trained_state(model).items()
    }
    with atomic_write(file) as aside:
        save_file(weights, aside, metadata={"format": "pt"})


def save(
    model: SpeechVerseForConditionalGeneration, folder: str | Path, dtype: torch.dtype | None = None
) -> None:
    """Writes a checkpoint; each file is written aside and renamed, the configuration last.

    Args:
        dtype: Precision of what was trained, such as float16 for one that is to be handed on; its
            own by default.

    Raises:
        CheckpointError: If the model stands on foundations that have no name.
    """
    _, llm = model.config.part_names
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write_trained(model, folder / WEIGHTS, dtype)
    if model.has_lora:
        lora.save(model.llm, folder / LORA_FOLDER, llm, dtype)
    write_text(folder / "config.json", with_own_code(model.config, folder).to_json_string())


def load_trained(model: SpeechVerseForConditionalGeneration, folder: Path) -> None:
    """Reads a checkpoint's weights into a model built from its configuration.

    Raises:
        CheckpointError: If the weights do not fit.
    """
    weights = read_weights(folder / WEIGHTS)
    own = trained_state(model)
    for name in weights.keys() | own.keys():
        if name not in weights or name not in own or weights[name].shape != own[name].shape:
            raise CheckpointError(
                f"the weights in '{folder / WEIGHTS}' do not fit its configuration, as in '{name}'"
            )
    with torch.no_grad():
        for name, tensor in weights.items():
            own[name].copy_(tensor)
    if model.has_lora:
        lora.load(model.llm, folder / LORA_FOLDER)


def export(model: SpeechVerseForConditionalGeneration, folder: str | Path) -> None:
    """Writes everything into one folder that needs nothing else: encoder, LLM with LoRA merged, and
    what joins them.

    Raises:
        CheckpointError: If the folder exists, or the model stands on foundations that have no name.
    """
    folder = Path(folder)
    if folder.exists():
        raise CheckpointError(f"'{folder}' exists already; export into a new folder")
    config = copy.deepcopy(model.config)
    with atomic_folder(folder) as scratch:
        _export_encoder(model, scratch / "encoder")
        _export_llm(model, scratch / "llm")
        for part in ("encoder", "llm"):
            config.update(
                {
                    part: part,
                    f"{part}_revision": None,
                    f"{part}_fingerprint": folder_fingerprint(scratch / part),
                }
            )
        config.choose(lora=None)
        config.merged = model.has_lora or model.config.merged
        _write_trained(model, scratch / WEIGHTS)
        write_text(scratch / "config.json", with_own_code(config, scratch).to_json_string())


def _export_encoder(model: SpeechVerseForConditionalGeneration, folder: Path) -> None:
    """The encoder's folder as it is, with its CTC head if it has one; trained weights lie with the
    adapter's.
    """
    source = local_folder(resolve(str(model.config.encoder), model.config.encoder_revision))
    folder.mkdir(parents=True)
    small = (
        file
        for file in source.iterdir()
        if file.suffix in {".json", ".txt", ".model", ".jinja", ".md"}
    )
    for file in (*weight_files(source), *small):
        shutil.copyfile(file, folder / file.name)


def _export_llm(model: SpeechVerseForConditionalGeneration, folder: Path) -> None:
    llm = lora.merged(model.llm) if model.has_lora else model.llm
    with quiet_transformers():
        llm.save_pretrained(folder)
    _, name = model.config.part_names
    load_tokenizer(resolve(name, model.config.llm_revision)).save_pretrained(folder)
