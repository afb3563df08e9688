"""`/v1/audio/...` by OpenAI's own client."""

from __future__ import annotations

import httpx2 as httpx
import numpy as np
import openai
import pytest

from served import KEY, noise, wav
from speechverse.longform import cutting


@pytest.fixture(autouse=True)
def loud_is_voice(monkeypatch):
    """Stands in for the voice detector, which hears no speech in noise."""

    class Meter:
        def __call__(self, windows):
            return (np.abs(windows).max(axis=1) > 0.01).astype(np.float32)

    monkeypatch.setattr(cutting, "VoiceMeter", Meter)


@pytest.fixture
def recording():
    """Longer than the model hears at once: four stretches of speech."""
    silence = np.zeros(40_000, np.float32)
    return wav(np.concatenate([noise(1.5), silence, noise(3.0, 1), silence, noise(1.0, 2)]))


def write(served, recording, **how):
    return served.client.audio.transcriptions.create(
        model="tried", file=("clip.wav", recording), **how
    )


def test_a_transcript_is_that_of_the_pipeline_in_each_format(served, recording):
    mine = served.model.transcribe(recording)
    assert len(mine.segments) > 3
    assert write(served, recording).text == mine.text
    assert write(served, recording, response_format="text") == mine.text + "\n"
    assert write(served, recording, response_format="srt") == mine.srt()
    assert write(served, recording, response_format="vtt") == mine.vtt()
    told = write(
        served,
        recording,
        response_format="verbose_json",
        timestamp_granularities=["segment"],
        temperature=0,
    )
    assert (told.duration, told.text, told.decoder) == (mine.duration, mine.text, "the LLM")
    assert [(one.start, one.end, one.text) for one in told.segments] == [
        (round(one.start, 3), round(one.end, 3), one.text) for one in mine.segments
    ]


def test_a_transcript_comes_as_it_is_written(served, recording):
    *deltas, done = write(served, recording, stream=True)
    mine = served.model.transcribe(recording).text
    assert done.type == "transcript.text.done" and done.text == mine
    assert "".join(one.delta for one in deltas) == mine and len(deltas) > 2


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # `translations`
def test_hints_and_a_language_go_to_who_has_a_use_for_them(served, recording):
    hinted = write(served, recording, prompt="York, Synthroid", extra_body={"decoder": "llm"})
    mine = served.model.transcribe(recording, decoder="llm", hints=["York", "Synthroid"])
    assert hinted.text == mine.text
    with pytest.raises(openai.BadRequestError, match="the LLM writes"):
        write(served, recording, language="en")
    translated = served.client.audio.translations.create(
        model="tried", file=recording, extra_body={"to_language": "de"}
    )
    assert translated.text == served.model.translate(recording, "de").text
    translated = served.client.audio.translations.create(
        model="tried",
        file=recording,
        response_format="verbose_json",
        extra_body={"to_language": "de"},
    )
    assert (translated.task, translated.language) == ("translate", "de")
    for unknown, told in (({}, "only a Whisper"), ({"to_language": "xx"}, "into 'xx'")):
        with pytest.raises(openai.BadRequestError, match=told) as refused:
            served.client.audio.translations.create(
                model="tried", file=recording, extra_body=unknown
            )
        assert refused.value.param == "to_language"


def test_what_is_sent_in_a_wrong_shape_is_told_how_to_send_it(served, recording):
    def refused(path, **body):
        headers = {"Authorization": f"Bearer {KEY}"}
        said = httpx.post(f"{served.url}/v1/{path}", headers=headers, **body)
        assert said.status_code == 400
        return said.json()["error"]["message"]

    form = {"data": {"model": ["small", "tried"]}, "files": {"file": ("a.wav", recording)}}
    assert "'model' is given twice" in refused("audio/transcriptions", **form)
    forgotten = {"data": {"model": "tried", "file": "clip.wav"}}
    assert "-F file=@clip.wav" in refused("audio/transcriptions", **forgotten)
    assert "Content-Type: application/json" in refused("chat/completions", content="{}")


def test_null_in_a_form_is_what_is_not_said(served, recording):
    names = ("language", "prompt", "decoder", "response_format", "temperature", "stream")
    nulls = dict.fromkeys([*names, "timestamp_granularities[]"], "null")
    assert write(served, recording, extra_body=nulls).text == write(served, recording).text


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"timestamp_granularities": ["word"]}, "segment"),
        ({"temperature": 0.5}, "temperature"),
        ({"include": ["logprobs"]}, "cannot be honoured"),
        ({"response_format": "srt", "stream": True}, "leave out stream"),
        ({"extra_body": {"decoder": "own"}}, "decoder"),
    ],
)
def test_what_cannot_be_honoured_is_an_error(served, recording, how, told):
    with pytest.raises(openai.BadRequestError, match=told):
        write(served, recording, **how)


def test_a_recording_that_cannot_be_heard_is_an_error_also_of_a_stream(served):
    for content, told in ((b"no sound", "not audio"), (wav(noise(21.0)), "lasts 21.0 s")):
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError, match=told):
                write(served, content, stream=stream)


def test_health_and_metrics(served):
    headers = {"Authorization": f"Bearer {KEY}"}
    for path in ("/health", "/health/live", "/health/ready"):
        assert httpx.get(served.url + path).json() == {"status": "ok"}
        asked = httpx.head(served.url + path)
        assert (asked.status_code, asked.content) == (200, b"")
    assert httpx.get(f"{served.url}/metrics").status_code == 401
    told = httpx.get(f"{served.url}/metrics", headers=headers).text
    assert 'speechverse_requests_total{path="/health",status="200"}' in told
    assert "speechverse_requests_in_progress 0.0" in told


def test_the_description_tells_each_kind_of_content_and_method(served):
    headers = {"Authorization": f"Bearer {KEY}"}
    paths = httpx.get(f"{served.url}/openapi.json", headers=headers).json()["paths"]
    kinds = {"application/json", "text/event-stream", "text/plain"}
    for path, method, told in (
        ("/v1/audio/transcriptions", "post", kinds),
        ("/v1/chat/completions", "post", kinds - {"text/plain"}),
        ("/metrics", "get", {"text/plain"}),
    ):
        assert set(paths[path][method]["responses"]["200"]["content"]) == told
        wrong = httpx.delete(served.url + path, headers=headers)
        assert (wrong.status_code, wrong.headers["Allow"]) == (405, method.upper())
