"""Neural voices through onnxruntime: Kokoro's 28 English voices, and hibari, a small and fast copy
of one of them.

Only ever loaded in a worker process, with one thread: so they repeat themselves, bit for bit, on
one kind of processor with one version of onnxruntime. Other processors may differ in the last bits.
"""

from __future__ import annotations

import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechverse.errors import MissingExtraError, SpeechverseError, UserError
from speechverse.world.clip import Prosody

if TYPE_CHECKING:
    from hibari import Hibari

KOKORO_MODEL = "kokoro-v1.0.int8.onnx"
_KOKORO_STYLES = (510, 256)  # one style for each length in phonemes
_LONGEST = 400  # phonemes said in one go; the model takes 510
_OWN_RATE = Prosody().rate  # words a minute that stand for the speed which is a voice's own
_SAMPLING_RATE = 24_000
_SLOWEST, _QUICKEST = 0.5, 2.0
_HIBARI_QUICKEST = 1.25  # beyond it hurries far more than it is asked to


def kokoro_files() -> tuple[Path, Path]:
    """Kokoro's model file and the folder of its voices; UserError where the cache lacks them."""
    from speechverse.pretrained import cache_folder

    cache = cache_folder()
    model, voices = cache / "kokoro-82m" / KOKORO_MODEL, cache / "kokoro-voices" / "voices"
    for path, part in ((model, "kokoro-82m"), (voices / "af_heart.bin", "kokoro-voices")):
        if not path.is_file():
            raise UserError(
                f"Kokoro's voices need '{path}', which is not there: speechverse pretrained get"
                f" {part} (or --engine hibari, whose one voice comes with the extra 'voices')"
            )
    return model, voices


def check_neural() -> None:
    """Raises MissingExtraError where what reads and runs the neural engines is not installed."""
    if not all(find_spec(library) for library in ("hibari", "onnxruntime")):
        raise MissingExtraError("Speaking in neural voices", "voices")


class HibariVoice:
    """One voice, af_heart, in 8 MB: some fifty times as fast as it is spoken."""

    sampling_rate = _SAMPLING_RATE

    def __init__(self, seed: int) -> None:
        self._reader, self._rng = _load_reader(british=False), np.random.default_rng(seed)

    def say(self, text: str, voice: str, prosody: Prosody) -> np.ndarray:
        """Speaks a text; of the prosody only the rate is heard, and the voice is always its own."""
        speed = min(_HIBARI_QUICKEST, _speed(prosody))
        chunks = map(self._reader.ids, _phonemes(self._reader, text))
        said = [self._reader.from_ids(chunk, speed, self._rng) for chunk in chunks]
        return np.concatenate(said).astype(np.float32)


class KokoroVoices:
    """Kokoro-82M, its weights in 8 bits: about as fast as it is spoken; it draws nothing."""

    sampling_rate = _SAMPLING_RATE

    def __init__(self, seed: int) -> None:
        model, self._folder = kokoro_files()
        self._readers = {british: _load_reader(british) for british in (False, True)}
        self._model = _load_session(model)

    def say(self, text: str, voice: str, prosody: Prosody) -> np.ndarray:
        """Speaks a text; of the prosody only the rate is heard. Voices in "b" are British."""
        reader, styles = self._readers[voice.startswith("b")], self._load_styles(voice)
        speed = np.asarray([_speed(prosody)], np.float32)
        said = []
        for chunk in _phonemes(reader, text):
            tokens = reader.ids(chunk)
            inputs = {"tokens": np.asarray([tokens], np.int64), "speed": speed}
            inputs["style"] = styles[len(tokens) - 2][None]
            said.append(np.asarray(self._model.run(None, inputs)[0], np.float32).reshape(-1))
        return np.concatenate(said)

    def _load_styles(self, voice: str) -> np.ndarray:
        path = self._folder / f"{voice}.bin"
        try:
            return np.fromfile(path, np.float32).reshape(_KOKORO_STYLES)
        except (OSError, ValueError) as error:
            raise UserError(f"'{path}' is no voice of Kokoro's: {error}") from error


def _load_reader(british: bool) -> Hibari:
    """What turns text into phonemes, and has the small voice with it."""
    check_neural()
    from hibari import Hibari
    from hibari.g2p import G2P

    return Hibari(g2p=G2P(british=british))


def _load_session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _phonemes(reader: Hibari, text: str) -> list[str]:
    chunks = [piece for chunk in reader.phonemize(text) for piece in textwrap.wrap(chunk, _LONGEST)]
    if not chunks:
        raise SpeechverseError(
            f"the neural voices found nothing to say in '{text}': they read English alone"
        )
    return chunks


def _speed(prosody: Prosody) -> float:
    return min(_QUICKEST, max(_SLOWEST, prosody.rate / _OWN_RATE))
