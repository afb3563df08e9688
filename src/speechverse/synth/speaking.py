"""One clip on demand: any text, a voice, an accent, an emotion."""

from __future__ import annotations

import tempfile
import unicodedata
from pathlib import Path

from speechverse.audio import Waveform, load
from speechverse.errors import UserError
from speechverse.seeding import rng_for
from speechverse.synth.clip import Clip
from speechverse.synth.styles import draw_turn
from speechverse.synth.voices import get_speaker
from speechverse.synth.workers import Shard, run_shards

_LONGEST = 2_000  # characters, over two minutes of speech


def check_text(text: str) -> None:
    """Sees to it that a text can be spoken in one clip.

    Raises:
        UserError: Nothing to say, too much to say, or signs that are no text.
    """
    if not any(character.isalnum() for character in text):
        raise UserError("there is nothing to say: the text has no letter and no digit")
    if len(text) > _LONGEST:
        raise UserError(f"the text has {len(text)} characters; {_LONGEST} can be spoken in one clip: speak it in parts")
    for character in text:  # espeak-ng would end at a zero byte, and cannot be handed half a character
        if unicodedata.category(character) in ("Cc", "Cs") and not character.isspace():
            raise UserError(f"the text holds {character!r}, a sign that is no text: take it out")


def speak(text: str, voice: str = "f3", accent: str = "american", emotion: str = "neutral", seed: int = 0) -> Waveform:
    """Speaks a text, in a process of its own.

    Args:
        text: What to say, in English.
        voice: Name of a speaker; `speechverse.synth.voices.speakers` knows them all.
        accent: american, british, scottish, caribbean or received.
        emotion: happy, sad, angry or neutral.
        seed: Of the small differences between one saying and the next; the same seed gives the same samples.

    Returns:
        The clip, 16 kHz.

    Raises:
        UserError: Nothing to say, too much to say, or an unknown voice, accent or emotion.
        MissingExtraError: The synth extra is not installed.
    """
    check_text(text)
    speaker = get_speaker(voice)
    turn = draw_turn(text, speaker, accent, emotion, rng_for(seed, text, voice, accent, emotion))
    with tempfile.TemporaryDirectory(prefix="speechverse-") as folder:
        shard = Shard(Path(folder) / "clip", [Clip("clip", turns=(turn,), seed=seed)], seed)
        run_shards([shard], num_workers=1)
        return load(shard.folder / "clip.flac")
