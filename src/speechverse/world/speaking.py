"""One clip on demand: any text, a voice, an accent, an emotion."""

from __future__ import annotations

import tempfile
import unicodedata
from pathlib import Path

from speechverse.audio import Waveform, load
from speechverse.errors import UserError
from speechverse.seeding import rng_for
from speechverse.world.clip import Clip
from speechverse.world.engines import ESPEAK, check_engine
from speechverse.world.natural import default_speaker, draw_natural_turn, find_natural
from speechverse.world.styles import draw_turn
from speechverse.world.voices import get_speaker
from speechverse.world.workers import Shard, run_shards

_LONGEST = 2_000  # characters, over two minutes of speech


def check_text(text: str) -> None:
    """Sees to it that a text can be spoken in one clip.

    Raises:
        UserError: Nothing to say, too much to say, or signs that are no text.
    """
    if not any(character.isalnum() for character in text):
        raise UserError("there is nothing to say: the text has no letter and no digit")
    if len(text) > _LONGEST:
        raise UserError(
            f"the text has {len(text)} characters; {_LONGEST} can be spoken in one clip: speak it"
            " in parts"
        )
    for (
        character
    ) in text:  # espeak-ng would end at a zero byte, and cannot be handed half a character
        if unicodedata.category(character) in ("Cc", "Cs") and not character.isspace():
            raise UserError(f"the text holds {character!r}, a sign that is no text: take it out")


def speak(
    text: str,
    voice: str | None = None,
    accent: str | None = None,
    emotion: str | None = None,
    seed: int = 0,
    engine: str = ESPEAK,
) -> Waveform:
    """Speaks an English text, in a process of its own: 16 kHz.

    Args:
        text: What to say.
        voice: `speechverse.world.voices.speakers` knows espeak-ng's (f3 by default),
            `speechverse.world.natural.natural_speakers` those of the other engines (the first by
            default).
        accent: american (by default), british, scottish, caribbean or received; a neural voice has
            its own.
        emotion: happy, sad, angry or neutral (by default), for espeak-ng's voices alone.
        seed: Of the small differences between one saying and the next; the same seed gives the same
            samples.
        engine: espeak, kokoro or hibari.

    Raises:
        UserError: Nothing to say, too much to say, or an unknown engine, voice, accent or emotion.
        MissingExtraError: The extra that the engine needs is not installed.
    """
    check_text(text)
    check_engine(engine)
    how = manner_of_speaking(engine, voice, accent, emotion)
    rng = rng_for(seed, text, *how.values())
    if engine == ESPEAK:
        turn = draw_turn(text, get_speaker(how["voice"]), how["accent"], how["emotion"], rng)
    else:
        turn = draw_natural_turn(text, find_natural(engine, how["voice"]), rng)
    with tempfile.TemporaryDirectory(prefix="speechverse-") as folder:
        shard = Shard(Path(folder) / "clip", [Clip("clip", turns=(turn,), seed=seed)], seed)
        run_shards([shard], num_workers=1)
        return load(shard.folder / "clip.flac")


def manner_of_speaking(
    engine: str, voice: str | None = None, accent: str | None = None, emotion: str | None = None
) -> dict[str, str]:
    """Who speaks and how: `voice`, `accent` and, of espeak-ng's, `emotion`; what was left open is
    filled in.

    Raises:
        UserError: A voice or an accent that a neural engine does not have, or an emotion asked of
            it.
    """
    if engine == ESPEAK:
        return {
            "voice": voice or "f3",
            "accent": accent or "american",
            "emotion": emotion or "neutral",
        }
    if emotion is not None:
        raise UserError(
            f"{engine}'s voices cannot act an emotion: leave it out, or take the engine espeak"
        )
    speaker = default_speaker(engine, accent) if voice is None else find_natural(engine, voice)
    if accent not in (None, speaker.accent):
        raise UserError(
            f"the voice '{speaker.name}' is {speaker.accent}, not {accent}: name only one of"
            " the two"
        )
    return {"voice": speaker.name, "accent": speaker.accent}
