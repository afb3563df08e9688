"""A model behind an endpoint is asked like any other, and told of before it costs anything."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import soundfile

from microscopic import save_letters_checkpoint
from served import KEY, serving
from speechverse import SpeechVerse
from speechverse.decoding import DecodingOptions
from speechverse.errors import UserError
from speechverse.evaluation import (
    EvaluationSettings,
    Parts,
    endpoint,
    evaluate,
    load_answers,
    make_systems,
)
from speechverse.evaluation.journal import keep_answers
from speechverse.types import Example

SETTINGS = EvaluationSettings(
    tasks=("er",),
    systems=("endpoint:some/model",),
    num_resamples=10,
    decoding=DecodingOptions(max_new_tokens=8),
)


class Server(ThreadingHTTPServer):
    """Says "happy"; the first request is put off, or all are refused with `status`, or some by
    their number with another.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, Any], str | None]] = []
        self.status: int | None = None
        self.refused: dict[int, int] = {}
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((body, self.headers["Authorization"]))
        number = len(self.server.asked)
        status = self.server.status or self.server.refused.get(number, 429 if number == 1 else 200)
        choice = {"message": {"content": "Happy."}, "finish_reason": "stop"}
        said = json.dumps({"choices": [choice]} if status == 200 else {"error": "not now"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    for name in ("SPEECHVERSE_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(endpoint.URL, f"http://127.0.0.1:{made.server_port}/v1/")
    monkeypatch.setenv(endpoint.KEY, "secret")
    monkeypatch.setattr(endpoint, "_BACKOFF_SECONDS", 0.01)
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def test_it_hears_the_clip_and_reads_the_instruction_and_is_asked_again_when_put_off(
    server, loaded, corpus, tmp_path
) -> None:
    told: list[str] = []
    results = evaluate(*loaded, corpus, SETTINGS, output=tmp_path, tell=told.append)
    records = load_answers(tmp_path)
    assert [record.answer for record in records] == ["Happy."] * len(records)
    assert results.score("er", "endpoint:some/model", "accuracy").value > 0
    assert told == [
        f"endpoint:some/model: {len(records)} requests with {0.6 * len(records):.0f} s of audio to"
        f" http://127.0.0.1:{server.server_port}/v1"
    ]
    assert len(server.asked) == len(records) + 1
    assert {key for _, key in server.asked} == {"Bearer secret"}
    sound, text = server.asked[-1][0]["messages"][0]["content"]
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(sound["input_audio"]["data"])))
    assert (len(samples), rate) == (9600, 16_000) and server.asked[0][0]["model"] == "some/model"
    assert text["text"] in {record.instruction for record in records}
    assert "secret" not in (tmp_path / "results.json").read_text()


def test_what_asks_about_several_clips_is_not_asked_of_who_hears_one(
    server, loaded, corpus
) -> None:
    one, two = corpus.utterances("test")[:2]
    pair = Example("0", replace(one, beside=(two,)), "er", "Which?", "sad", "sad", choices=("sad",))
    [asked] = make_systems(["endpoint:some/model"], Parts(*loaded, DecodingOptions()))
    assert "about several" in asked.missing([pair]) and asked.missing([]) is None


def test_what_its_control_costs_is_told_too(server, loaded, corpus) -> None:
    told: list[str] = []
    control = "other-clip:endpoint:some/model"
    evaluate(*loaded, corpus, replace(SETTINGS, systems=(control,)), tell=told.append)
    assert len(told) == 1 and told[0].startswith(f"{control}: 4 requests with 2 s of audio to")


def test_what_it_refuses_for_good_is_told(server, loaded, corpus) -> None:
    server.status = 401
    with pytest.raises(UserError, match="status 401.*not now.*OPENAI_API_KEY"):
        evaluate(*loaded, corpus, SETTINGS)


def test_a_clip_that_it_refuses_is_counted_and_the_others_are_answered(
    server, loaded, corpus, tmp_path
) -> None:
    server.refused = {3: 400}
    results = evaluate(*loaded, corpus, SETTINGS, output=tmp_path)
    records = load_answers(tmp_path)
    assert sorted(record.answer for record in records) == ["", *["Happy."] * (len(records) - 1)]
    assert sum(record.unparsed for record in records) == 1
    [note] = [note for note in results.notes if "not answered" in note]
    assert "1 of 4 were not answered and count as unparsed: refused with status 400" in note
    assert len(server.asked) == len(records) + 1


def test_what_was_answered_before_it_failed_for_good_is_not_asked_and_paid_for_again(
    server, loaded, corpus, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(endpoint.Endpoint, "at_once", 1)
    server.refused = {3: 400, 4: 403}
    about = {"about_model": {"fingerprint": "f"}, "output": tmp_path}
    with pytest.raises(UserError, match="status 403"), keep_answers(tmp_path) as journal:
        evaluate(*loaded, corpus, SETTINGS, journal=journal, **about)
    with keep_answers(tmp_path) as journal:
        evaluate(*loaded, corpus, SETTINGS, journal=journal, **about)
    assert len(server.asked) == len(load_answers(tmp_path)) + 3, "and what was refused is"


def test_our_own_server_answers_as_the_model_in_it(corpus, tmp_path, monkeypatch) -> None:
    for name in ("SPEECHVERSE_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    free = DecodingOptions(choice_mode="free", max_new_tokens=8)
    asked = replace(SETTINGS, tasks=("er", "asr"), decoding=free)
    asked = replace(asked, systems=("speechverse", "endpoint:tried"))
    model = save_letters_checkpoint(tmp_path / "parts", max_audio_seconds=2.0)
    with serving(SpeechVerse.from_pretrained(model, "cpu")) as running:
        monkeypatch.setenv(endpoint.URL, f"{running.url}/v1")
        monkeypatch.setenv(endpoint.KEY, KEY)
        evaluate(running.model.model, running.model.processor, corpus, asked, output=tmp_path)
    answers = {(one.system, one.example): one.answer for one in load_answers(tmp_path)}
    own = {example: text for (system, example), text in answers.items() if system == "speechverse"}
    assert {text.strip() for text in own.values()} - {""}
    assert own == {e: text for (system, e), text in answers.items() if system != "speechverse"}


def test_offline_and_without_an_address_nothing_is_asked(
    server, loaded, corpus, monkeypatch
) -> None:
    monkeypatch.setenv("SPEECHVERSE_OFFLINE", "1")
    with pytest.raises(UserError, match="--offline forbids"):
        evaluate(*loaded, corpus, SETTINGS)
    monkeypatch.delenv("SPEECHVERSE_OFFLINE")
    monkeypatch.delenv(endpoint.URL)
    with pytest.raises(UserError, match="set OPENAI_BASE_URL"):
        evaluate(*loaded, corpus, SETTINGS)
    assert not server.asked
