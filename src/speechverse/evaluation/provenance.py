"""What a checkpoint is: its parts, where they come from, how it was trained, what it can take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechverse.encoders.ctc import CtcRecogniser, load_ctc
from speechverse.encoders.whisper_text import KNOWN_WHISPER, WhisperRecogniser, load_whisper
from speechverse.errors import CheckpointError, UserError
from speechverse.hub import folder_fingerprint, local_folder, resolve
from speechverse.longform.writers import load_own_decoder
from speechverse.pretrained import file_hash
from speechverse.protocols import Model
from speechverse.seeding import fingerprint

if TYPE_CHECKING:  # a checkpoint is described without the extra that reads corpora
    from speechverse.data import Corpus

RECIPE = "recipe.yaml"
METRICS = "metrics.jsonl"
LAYER_WEIGHTS = {
    "layer_weights": "for each position",
    "clip_layer_weights": "for the clip as a whole",
}
"""Weights of encoder layers, as `describe` names them → what they are mixed for."""


def describe(model: Model, name: str | Path) -> dict[str, Any]:
    """Everything that results say of the model they belong to, loaded by that name or folder."""
    folder, config = local_folder(resolve(name)), model.config
    encoder, llm = config.part_names
    return {
        "name": short_name(name),
        "fingerprint": checkpoint_fingerprint(folder),
        "recipe_sha256": _sha256(folder / RECIPE),
        "encoder": short_name(encoder),
        "encoder_fingerprint": config.encoder_fingerprint,
        "llm": short_name(llm),
        "llm_fingerprint": config.llm_fingerprint,
        "precision": str(model.dtype).removeprefix("torch."),
        "lora": config.lora and config.lora.model_dump(),
        "layer_mixing": config.layer_mixing,
        "layer_weights": model.mixer.shares(),
        "clip_layer_weights": model.clip_statistics.mixer.shares()
        if model.clip_statistics
        else None,
        "max_audio_seconds": config.max_audio_seconds,
        "quiet_end": config.quiet_end,
    }


def describe_split(corpus: Corpus, split: str) -> dict[str, Any]:
    """What results say of the clips measured: the hash of the manifest, or of a JSONL file."""
    if "splits" in corpus.description:  # a folder
        manifest = corpus.description["splits"].get(split, {}).get("manifest_sha256")
    else:
        manifest = _sha256(Path(corpus.description.get("source", {}).get(split, "")))
    return {"name": corpus.name, "split": split, "manifest_sha256": manifest}


def training_log(name: str | Path) -> Path | None:
    """The `metrics.jsonl` of the run a checkpoint comes from, if it lies in or above its folder."""
    folder = local_folder(resolve(name))
    places = (folder / METRICS, folder.parent / METRICS)
    return next((place for place in places if place.is_file()), None)


def find_recogniser(model: Model) -> tuple[CtcRecogniser | None, str]:
    """Loads the CTC recogniser of a loaded model's encoder, at its revision and on its device; or
    gives None with the reason why there is none.
    """
    try:
        encoder, _ = model.config.part_names
        return load_ctc(encoder, revision=model.config.encoder_revision).to(model.device), ""
    except CheckpointError as error:
        return None, str(error)


def find_whisper(model: Model) -> tuple[WhisperRecogniser | None, str]:
    """Loads the Whisper that a model's encoder is a part of, or else the known part, onto the
    model's device; or gives None with the reason why there is none.
    """
    try:
        return load_own_decoder(model), ""
    except CheckpointError as error:
        reason = str(error)
    try:
        return load_whisper(KNOWN_WHISPER, dtype=model.dtype).to(model.device), ""
    except UserError as error:
        return None, f"{reason}; and the known part '{KNOWN_WHISPER}' cannot be had: {error}"


def checkpoint_fingerprint(name: str | Path) -> str:
    """One hash over a checkpoint's configuration and weights, those of LoRA among them."""
    folder = local_folder(resolve(name))
    lora = sorted(folder.glob("lora/*"))
    parts = [folder_fingerprint(folder), *(_sha256(file) or "" for file in lora)]
    return fingerprint("\n".join(parts))


def short_name(name: str | Path) -> str:
    """A folder by its last part: results say what was measured, not where it lay."""
    return Path(name).name or str(name)


def _sha256(path: Path) -> str | None:
    return file_hash(path) if path.is_file() else None
