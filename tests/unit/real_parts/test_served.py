"""`small` behind the server, about recordings of real people: what it answers there is what it
answers in Python.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from served import asking, serving
from speechverse import SpeechVerse
from speechverse.pretrained import KNOWN, is_here

pytestmark = [pytest.mark.real_parts, pytest.mark.real_speech, pytest.mark.slow]
CHOICES = ["happy", "sad", "neutral"]


def test_real_people_are_answered_as_in_python(real_speech: Path) -> None:
    for name in ("whisper-base", "smollm2-135m-instruct"):
        if not is_here(KNOWN[name]):
            pytest.skip(f"'{name}' is not in the cache; speechverse pretrained get {name}")
    told = [json.loads(line) for line in (real_speech / "manifest.jsonl").read_text().splitlines()]
    clips = [real_speech / clip["audio"] for clip in told[:: len(told) // 4]]
    model = SpeechVerse.from_pretrained("small", "cpu")
    with serving(model) as served:
        completions, transcriptions = served.client.chat.completions, served.client.audio
        for clip in clips:
            messages = asking("How does the speaker feel?", clip.read_bytes())
            how = {"response_format": {"type": "choice", "choices": CHOICES}}
            for given, mine in (({}, {}), (how, {"choices": CHOICES})):
                made = completions.create(model="tried", messages=messages, max_tokens=20, **given)
                asked = model.ask(clip, "How does the speaker feel?", max_new_tokens=20, **mine)
                assert made.choices[0].message.content == asked.text
            written = transcriptions.transcriptions.create(model="tried", file=clip)
            assert written.text == model.transcribe(clip).text
