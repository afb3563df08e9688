"""What a frozen encoder gave for every clip: all its layers, kept on disk.

Entries are keyed by the audio file (path, size, time) and the part of it, so a clip made anew is
not taken for the old one. Shape letters: L layers, T frames, D width of the encoder.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from speechverse.audio import load
from speechverse.batching import cut_into_batches
from speechverse.data.cache_folder import (
    DESCRIPTION,
    FORMAT,
    CacheDiskError,
    CacheTooLargeError,
    entry_key,
    read_description,
    refuse_full_disk,
    refuse_other_encoder,
    shard_keys,
    writing,
)
from speechverse.errors import AudioError, CacheError
from speechverse.files import atomic_write, folder_lock
from speechverse.hub import VOLATILE_KEYS
from speechverse.progress import Advance
from speechverse.seeding import fingerprint
from speechverse.tally import MAX_BAD_SHARE, refuse_too_many
from speechverse.types import SAMPLING_RATE, Seconds, Utterance

if TYPE_CHECKING:
    from speechverse.encoders import SpeechEncoder

__all__ = [
    "CacheDiskError",
    "CacheTooLargeError",
    "FeatureCache",
    "encoder_fingerprint",
    "entry_key",
]

log = logging.getLogger(__name__)

_SHARD_BYTES = 128 * 2**20
_BATCH_SECONDS: Seconds = 60.0


def encoder_fingerprint(encoder: SpeechEncoder, dtype: torch.dtype = torch.float16) -> str:
    """A hash of all an entry depends on besides the audio."""
    settings = {
        "format": FORMAT,
        "dtype": str(dtype),
        "num_layers": _num_layers(encoder),
        "config": {
            k: v for k, v in encoder.model.config.to_dict().items() if k not in VOLATILE_KEYS
        },
        "front_end": encoder.front_end.feature_extractor.to_dict(),
        "window": encoder.front_end.window,
    }
    told = json.dumps(settings, sort_keys=True, default=str)
    return fingerprint(told, *_own_code(encoder), *weights_to_hash(encoder.model.state_dict()))


def _own_code(encoder: SpeechEncoder) -> Iterator[bytes]:
    """The file of an encoder family of the user's, which decides what is heard; none of ours."""
    module = sys.modules[type(encoder).__module__]
    if not module.__name__.startswith("speechverse.") and (
        file := getattr(module, "__file__", None)  # none where it was typed at a prompt
    ):
        yield Path(file).read_bytes()


def weights_to_hash(weights: Mapping[str, Tensor]) -> Iterator[str | memoryview]:
    """Names, shapes and values of weights, for `fingerprint`."""
    for name, weight in sorted(weights.items()):
        yield f"{name}{tuple(weight.shape)}{weight.dtype}"
        yield weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


class FeatureCache:
    """Encoder outputs by utterance: `cache[utterance]` is (L, T, D) in `dtype`.

    Attributes:
        failed: Clips that could not be read, by key, with the reason.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.folder = folder
        self.num_layers: int = about["num_layers"]
        self.width: int = about["width"]
        self.dtype: torch.dtype = getattr(torch, about["dtype"])
        self.failed: dict[str, str] = dict(about["failed"])
        self._shard_of = {
            key: shard
            for shard in sorted(folder.glob("shard-*.safetensors"))
            for key in shard_keys(shard)
        }
        self._open: dict[Path, Any] = {}

    @staticmethod
    def size(
        encoder: SpeechEncoder, utterances: Sequence[Utterance], dtype: torch.dtype = torch.float16
    ) -> int:
        """Bytes that a cache of these utterances takes, told before it is made."""
        unique = {utterance.audio: utterance.duration for utterance in utterances}
        frames = sum(
            encoder.num_frames(round(duration * SAMPLING_RATE)) for duration in unique.values()
        )
        return frames * _num_layers(encoder) * encoder.width * dtype.itemsize

    @classmethod
    def open(cls, folder: str | Path, fingerprint: str) -> FeatureCache:
        """Opens a whole cache of the encoder with this fingerprint.

        Raises:
            CacheError: If there is none, it was not finished, or it is another encoder's.
        """
        folder = Path(folder)
        about = read_description(folder)
        if about is None:
            raise CacheError(f"{folder} is no feature cache; build one")
        refuse_other_encoder(folder, about, fingerprint)
        if not about["whole"]:
            raise CacheError(
                f"the feature cache {folder} was not finished; build it again, it goes on where it"
                " stopped"
            )
        return cls(folder, about)

    @classmethod
    def build(
        cls,
        encoder: SpeechEncoder,
        utterances: Sequence[Utterance],
        folder: str | Path,
        *,
        dtype: torch.dtype = torch.float16,
        max_bad_share: float = MAX_BAD_SHARE,
        progress: Advance | None = None,
    ) -> FeatureCache:
        """Encodes every utterance that the folder does not hold yet; an interrupted build goes on.

        Args:
            utterances: Those over the encoder's limit are left out.
            dtype: float16; bfloat16 for encoders whose outputs leave float16's range.
            max_bad_share: The share of unreadable clips allowed; they are counted and logged.
            progress: Called with the number of utterances done since the last call.

        Raises:
            CacheDiskError: If the disk refuses, or (CacheTooLargeError) is too small.
            CacheError: If it holds another encoder's cache, another run is building there, or an
                output leaves the range of `dtype`.
            CorpusError: If too many clips cannot be read.
            AudioError: If an audio file is missing.
        """
        folder = Path(folder)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        blank = _describe(encoder, encoder_fingerprint(encoder, dtype), dtype)
        tell = progress or (lambda _: None)
        wanted = _within_limit(encoder, utterances)
        about = _own(folder, blank)
        if about["whole"] and not (cache := cls(folder, about))._pending(wanted):
            cache._refuse_too_many_bad(
                utterances, max_bad_share
            )  # it may have been built with less asked of it
            tell(len(utterances))
            return cache
        with writing(folder), tempfile.TemporaryFile(dir=folder):
            pass  # a folder that takes nothing is told as the disk's, and not as a lock's
        with writing(folder), folder_lock(folder, "building the feature cache", CacheError):
            about = _own(folder, blank)
            cache = cls(folder, about)
            pending = cache._pending(wanted)
            tell(len(utterances) - len(pending))
            cache._write(about, whole=False)
            refuse_full_disk(folder, cls.size(encoder, list(pending.values()), dtype), len(pending))
            cache._fill(encoder, pending, dtype, tell)
            cache._refuse_too_many_bad(utterances, max_bad_share)
            cache._write(about, whole=True)
        return cache

    def __len__(self) -> int:
        return len(self._shard_of)

    def __contains__(self, utterance: Utterance) -> bool:
        return entry_key(utterance) in self._shard_of

    def __getitem__(self, utterance: Utterance) -> Tensor:
        """The encoder's layers for an utterance, (L, T, D).

        Raises:
            AudioError: If the clip could not be read when the cache was built.
            CacheError: If it was not there then, or is another recording now.
        """
        key = entry_key(utterance)
        if key in self.failed:
            raise AudioError(self.failed[key])
        if key not in self._shard_of:
            raise CacheError(
                f"the feature cache {self.folder} holds nothing for '{utterance.id}'"
                f" ({utterance.audio.path}): the file is new or has changed since; build the cache"
                " again"
            )
        return self._shard(self._shard_of[key]).get_tensor(key)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def _shard(self, path: Path) -> Any:
        if path not in self._open:
            self._open[path] = safe_open(path, framework="pt")
        return self._open[path]

    def _pending(self, utterances: Sequence[Utterance]) -> dict[str, Utterance]:
        """What is neither here nor known to be bad, by key, shortest first."""
        wanted = {entry_key(utterance): utterance for utterance in utterances}
        missing = wanted.keys() - self._shard_of.keys() - self.failed.keys()
        return {
            key: wanted[key] for key in sorted(missing, key=lambda key: (wanted[key].duration, key))
        }

    def _fill(
        self,
        encoder: SpeechEncoder,
        pending: Mapping[str, Utterance],
        dtype: torch.dtype,
        tell: Advance,
    ) -> None:
        shard: dict[str, Tensor] = {}
        held = 0
        batches = cut_into_batches(pending.items(), lambda entry: entry[1].duration, _BATCH_SECONDS)
        for num_tried, waveforms in self._load_batches(encoder, [dict(batch) for batch in batches]):
            entries = _encode(encoder, waveforms, dtype) if waveforms else {}
            shard |= entries
            held += sum(entry.nbytes for entry in entries.values())
            if held >= _SHARD_BYTES:
                self._write_shard(shard)
                shard, held = {}, 0
            tell(num_tried)
        if shard:
            self._write_shard(shard)

    def _load_batches(
        self, encoder: SpeechEncoder, batches: Sequence[Mapping[str, Utterance]]
    ) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Clips tried and samples by key; the next batch is decoded while this one is encoded."""
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(self._load, encoder, batches[0]) if batches else None
            for batch, following in zip_longest(batches, batches[1:]):
                assert coming is not None
                loaded = coming.result()
                if following is not None:
                    coming = pool.submit(self._load, encoder, following)
                yield len(batch), loaded

    def _load(
        self, encoder: SpeechEncoder, batch: Mapping[str, Utterance]
    ) -> dict[str, np.ndarray]:
        waveforms = {}
        for key, utterance in batch.items():
            try:
                samples = load(utterance.audio).samples
                encoder.front_end.count_frames(samples)
                waveforms[key] = samples
            except AudioError as error:
                log.warning("'%s' cannot be used: %s", utterance.id, error)
                self.failed[key] = str(error)
        return waveforms

    def _write_shard(self, shard: dict[str, Tensor]) -> None:
        there = self.folder.glob("shard-*.safetensors")
        number = 1 + max((int(shard.stem.partition("-")[2]) for shard in there), default=-1)
        path = self.folder / f"shard-{number:05d}.safetensors"
        with atomic_write(path) as aside:
            save_file(shard, aside)
        self._shard_of |= dict.fromkeys(shard, path)

    def _refuse_too_many_bad(self, utterances: Sequence[Utterance], max_bad_share: float) -> None:
        keys = {utterance.id: entry_key(utterance) for utterance in utterances}
        bad = {name: self.failed[key] for name, key in keys.items() if key in self.failed}
        refuse_too_many(bad, len(utterances), max_bad_share)

    def _write(self, about: Mapping[str, Any], *, whole: bool) -> None:
        told = {**about, "failed": self.failed, "whole": whole}
        with atomic_write(self.folder / DESCRIPTION) as aside:
            aside.write_text(json.dumps(told, indent=2), encoding="utf-8")


def _num_layers(encoder: SpeechEncoder) -> int:
    return 1 if encoder.last_layer_only else encoder.num_layers


def _describe(encoder: SpeechEncoder, fingerprint: str, dtype: torch.dtype) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "num_layers": _num_layers(encoder),
        "width": encoder.width,
        "dtype": str(dtype).removeprefix("torch."),
        "failed": {},
        "whole": False,
    }


def _own(folder: Path, blank: dict[str, Any]) -> dict[str, Any]:
    about = read_description(folder) or blank
    refuse_other_encoder(folder, about, blank["fingerprint"])
    return about


def _within_limit(encoder: SpeechEncoder, utterances: Sequence[Utterance]) -> list[Utterance]:
    limit = encoder.max_seconds or float("inf")
    fitting = [utterance for utterance in utterances if utterance.duration <= limit]
    if len(fitting) < len(utterances):
        left_out = f"{len(utterances) - len(fitting)} of {len(utterances)} clips"
        log.warning("%s are over the encoder's %g s and not cached", left_out, limit)
    return fitting


def _encode(
    encoder: SpeechEncoder, waveforms: Mapping[str, np.ndarray], dtype: torch.dtype
) -> dict[str, Tensor]:
    """Runs the encoder over one batch; each entry (L, T, D) holds its true frames only."""
    device = next(encoder.parameters()).device
    inputs = {
        name: tensor.to(device)
        for name, tensor in encoder.prepare(list(waveforms.values())).items()
    }
    with torch.inference_mode():
        hidden_states_LBTD, lengths = encoder(**inputs)
        hidden_states_LBTD = hidden_states_LBTD.to(dtype).cpu()
    entries = {}
    for row, (key, length) in enumerate(zip(waveforms, lengths.tolist(), strict=True)):
        entries[key] = hidden_states_LBTD[:, row, :length].contiguous()
        if not torch.isfinite(entries[key]).all():
            raise CacheError(_not_finite(dtype))
    return entries


def _not_finite(dtype: torch.dtype) -> str:
    if dtype == torch.float16:
        return (
            "the encoder's outputs leave the range of float16; delete this cache and keep them in"
            " bfloat16 (in a recipe: data.cache_dtype=bf16)"
        )
    return (
        f"the encoder's outputs are not finite in {dtype}; no cache can hold them: is the encoder"
        " whole?"
    )
