"""One clip on demand: any text, a voice, an accent, an emotion."""

from __future__ import annotations

import tempfile
import unicodedata
from pathlib import Path

from speechverse.audio import Waveform, load
from speechverse.errors import UserError, unknown_name
from speechverse.seeding import rng_for
from speechverse.world.clip import Clip
from speechverse.world.engines import ESPEAK, check_engine
from speechverse.world.styles import draw_neural_turn, draw_turn
from speechverse.world.voices import get_neural_speaker, get_speaker, neural_speakers
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
    # espeak-ng would end at a zero byte, and cannot be handed half a character.
    for character in text:
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
        voice: Of espeak-ng (f3 by default) or of the neural engine (its first by default), see
            `voices.yaml`.
        accent: american (by default), british, scottish, caribbean or received; a neural voice has
            its own.
        emotion: happy, sad, angry or neutral (by default), for espeak-ng's voices alone.
        seed: Of the small differences between one saying and the next.
        engine: espeak, kokoro or hibari.

    Raises:
        UserError: Nothing to say, too much to say, or an unknown engine, voice, accent or emotion.
        MissingExtraError: The extra that the engine needs is not installed.
    """
    check_text(text)
    check_engine(engine)
    how = choose_voice(engine, voice, accent, emotion)
    rng = rng_for(seed, text, *how.values())
    if engine == ESPEAK:
        turn = draw_turn(text, get_speaker(how["voice"]), how["accent"], how["emotion"], rng)
    else:
        turn = draw_neural_turn(text, get_neural_speaker(engine, how["voice"]), rng)
    with tempfile.TemporaryDirectory(prefix="speechverse-") as folder:
        shard = Shard(Path(folder) / "clip", [Clip("clip", turns=(turn,), seed=seed)], seed)
        run_shards([shard], num_workers=1)
        return load(shard.folder / "clip.flac")


def choose_voice(
    engine: str, voice: str | None = None, accent: str | None = None, emotion: str | None = None
) -> dict[str, str]:
    """Fills in what was left open of `voice`, `accent` and, of espeak-ng's, `emotion`.

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
    if voice is None:
        known = neural_speakers(engine, "train")
        fitting = [speaker for speaker in known if accent in (None, speaker.accent)]
        if not fitting:
            accents = {speaker.accent for speaker in known}
            raise UserError(unknown_name(f"accent of {engine}", str(accent), accents))
        speaker = fitting[0]
    else:
        speaker = get_neural_speaker(engine, voice)
    if accent not in (None, speaker.accent):
        raise UserError(
            f"the voice '{speaker.name}' is {speaker.accent}, not {accent}: name only one of"
            " the two"
        )
    return {"voice": speaker.name, "accent": speaker.accent}
