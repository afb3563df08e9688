"""The espeak-ng library through ctypes: text in, 22.05 kHz samples out.

Only ever loaded in a worker process of its own (`speechverse.world.workers`): the library crashes
under threads, carries state from utterance to utterance, and is GPL-licensed, so it stays an
optional program at arm's length.
"""

from __future__ import annotations

import ctypes
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechverse.errors import MissingExtraError, SpeechverseError
from speechverse.world.accents import prepare_data

_SYNCHRONOUS = 2
_UTF8 = 1
_RATE, _PITCH, _RANGE, _WORD_GAP = 1, 3, 4, 7
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


@dataclass(frozen=True, slots=True)
class Prosody:
    """How a sentence is spoken, in espeak-ng's own units."""

    rate: int = 170  # words a minute, 80 to 450
    pitch: int = 50  # base pitch, 0 to 99 (50 is the voice's own)
    pitch_range: int = 50  # liveliness of the melody, 0 to 99 (50 is the voice's own)
    word_gap: int = 0  # extra silence between words, in steps of 10 ms


class Espeak:
    """The loaded library, one a process; it repeats itself only when the same calls come in the
    same order.
    """

    def __init__(self, seed: int) -> None:
        """Loads and seeds the library.

        Raises:
            MissingExtraError: The `synth` extra is not installed.
        """
        try:
            import espeakng_loader
        except ImportError:
            raise MissingExtraError("Making speech", "synth") from None
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._folder = tempfile.TemporaryDirectory(
            prefix="speechverse-"
        )  # kept: voices are read when first used
        data = Path(self._folder.name) / "espeak-ng-data"
        prepare_data(Path(espeakng_loader.get_data_path()), data)
        self.sampling_rate = int(
            self._library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), 0)
        )
        if self.sampling_rate <= 0:
            raise SpeechverseError("espeak-ng did not start: its data folder could not be read")
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed & 0x7FFFFFFF))
        self._chunks: list[bytes] = []
        self._callback = _CALLBACK(self._collect)  # kept: ctypes does not hold callbacks alive
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(
        self, samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int | None
    ) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, count * ctypes.sizeof(ctypes.c_short)))
        return 0

    def say(self, text: str, voice: str, prosody: Prosody) -> np.ndarray:
        """Speaks a sentence: float32 (T,) at `sampling_rate`.

        `voice` is language and variant, such as "en-x-scottish0+f3"; unknown variants pass
        unnoticed.

        Raises:
            SpeechverseError: espeak-ng refused the voice or gave no sound.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SpeechverseError(f"espeak-ng does not know the voice '{voice}'")
        for parameter, value in (
            (_RATE, prosody.rate),
            (_PITCH, prosody.pitch),
            (_RANGE, prosody.pitch_range),
            (_WORD_GAP, prosody.word_gap),
        ):
            self._library.espeak_SetParameter(parameter, int(value), 0)
        self._chunks.clear()
        encoded = text.encode() + b"\0"
        status = self._library.espeak_Synth(
            encoded, ctypes.c_size_t(len(encoded)), 0, 0, 0, _UTF8, None, None
        )
        if status != 0 or not self._chunks:
            raise SpeechverseError(f"espeak-ng gave no sound for '{text}' (status {status})")
        return np.frombuffer(b"".join(self._chunks), dtype=np.int16).astype(np.float32) / 32768.0
