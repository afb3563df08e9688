"""What strangers may send, and what becomes of a server that they send it to."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import socket
import threading
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import httpx2 as httpx
import openai
import pytest
from fastapi.testclient import TestClient
from starlette import formparsers

from running import speechverse
from served import KEY, asking, noise, serving, wav
from speechverse import SpeechVerse
from speechverse.errors import AudioError, AudioTooLongError, CancelledError, UserError
from speechverse.serving import uploads
from speechverse.serving.app import create_app
from speechverse.serving.calls import Call, Places
from speechverse.serving.engine import Engine
from speechverse.serving.keys import KEYS, keys_of
from speechverse.serving.running import server_of
from speechverse.serving.settings import ServerSettings
from speechverse.serving.uploads import Decoders

HEADERS = {"Authorization": f"Bearer {KEY}"}
SETTINGS = ServerSettings(name="tried", decoders=1, max_upload=2**20, max_seconds=20.0)


@pytest.fixture(scope="module")
def app(model):
    with TestClient(create_app(model, SETTINGS), raise_server_exceptions=False) as client:
        yield client


def chat(client, content, text="what is said", **how):
    body = {"model": "tried", "messages": asking(text, content), "max_tokens": 4, **how}
    return client.post("/v1/chat/completions", json=body)


def broken(rng):
    """A recording with something done to it."""
    content = bytearray(wav(noise(0.3), rng.choice(["WAV", "FLAC", "OGG"])))
    for _ in range(rng.randrange(1, 40)):
        content[rng.randrange(min(200, len(content)))] = rng.randrange(256)
    return bytes(content[: rng.randrange(1, len(content))])


def test_two_hundred_broken_uploads_leave_the_server_as_it_was(app):
    rng = random.Random(0)
    before = chat(app, wav(noise())).json()["choices"]
    seen = set()
    for number in range(200):
        how = {"files": {"file": broken(rng)}, "data": {"model": "tried"}}
        if number % 4:
            answer = chat(app, broken(rng))
        else:
            answer = app.post("/v1/audio/transcriptions", **how)
        assert answer.status_code in (200, 400), answer.text
        seen.add(answer.status_code)
    assert 400 in seen
    assert chat(app, wav(noise())).json()["choices"] == before
    assert app.get("/health/ready").status_code == 200


def flac_that_says(seconds):
    """A megabyte of FLAC whose header tells of so many seconds."""
    content = bytearray(wav(noise(), "FLAC"))
    frames = seconds * 16_000
    content[21] = content[21] & 0xF0 | frames >> 32
    content[22:26] = (frames & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(content) + bytes(2**20 - len(content) - 4096)


def test_hours_are_refused_by_the_header(app):
    began = time.process_time()
    answer = chat(app, flac_that_says(10 * 3600))
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "audio_too_long"
    assert "lasts 36,000.0 s by its header" in answer.json()["error"]["message"]
    assert time.process_time() - began < 2


def test_what_takes_too_much_ends_its_decoder_alone():
    settings = ServerSettings(decoders=1, decode_memory=200 * 2**20)
    decoders = Decoders(settings)
    try:
        with pytest.raises(AudioTooLongError), decoders.decoded(wav(noise(2)), 1.0, True):
            pass
        for _ in range(2):  # one whose decoder is killed, and the same of its successor
            process = decoders._free.get()
            process.kill()
            process.wait()
            decoders._free.put(process)
            with decoders.decoded(wav(noise(2)), 3.0, True) as samples:
                assert len(samples.whole()) == 32_000
        with (
            pytest.raises(AudioError, match="more memory than is allowed"),
            decoders.decoded(wav(noise(900)), 1000.0, True),
        ):
            pass
        with decoders.decoded(wav(noise(2)), 3.0, False) as samples:
            assert sum(map(len, samples.blocks())) == 32_000
    finally:
        decoders.close()


@pytest.mark.parametrize("full", ["recording", "samples"])
def test_a_full_disk_is_no_bad_recording(app, monkeypatch, tmp_path, full):
    @contextmanager
    def folder_without_room(prefix):
        (tmp_path / full).symlink_to("/dev/full")
        yield str(tmp_path)

    monkeypatch.setattr(uploads.tempfile, "TemporaryDirectory", folder_without_room)
    answer = chat(app, wav(noise()))
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    assert "no room" in answer.json()["error"]["message"]
    assert str(tmp_path) not in answer.text


def test_a_full_disk_is_told_while_a_form_is_read(app, monkeypatch):
    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", lambda **how: open("/dev/full", "w+b"))
    form = {"files": {"file": wav(noise())}, "data": {"model": "tried"}}
    answer = app.post("/v1/audio/transcriptions", **form)
    assert answer.status_code == 503 and "no room" in answer.json()["error"]["message"]


def test_ctrl_c_in_a_terminal_leaves_decoders_at_their_work():
    decoders = Decoders(ServerSettings(decoders=1))
    try:
        with decoders.decoded(wav(noise()), 1.0, True):
            pass
        process = decoders._free.get()
        decoders._free.put(process)
        assert os.getpgid(process.pid) != os.getpgrp()  # a terminal signals a whole group
    finally:
        decoders.close()


def test_a_body_that_is_too_large_is_not_read(app):
    assert chat(app, bytes(3 * 2**20)).status_code == 413

    def endless():
        for _ in range(8):
            yield bytes(2**19)

    answer = app.post("/v1/chat/completions", content=endless())
    assert answer.status_code == 413 and "1,048,576 bytes" in answer.json()["error"]["message"]
    file = {"file": bytes(2**20 + 1)}  # what base64 would need more for does not fit either
    answer = app.post("/v1/audio/transcriptions", files=file, data={"model": "tried"})
    assert answer.status_code == 413 and answer.json()["error"]["param"] == "file"


def test_a_variable_without_keys_opens_no_server(monkeypatch, tmp_path):
    assert keys_of(None) == ()
    monkeypatch.setenv(KEYS, " , ")
    with pytest.raises(UserError, match="holds no key"):
        keys_of(None)
    monkeypatch.setenv(KEYS, KEY)
    with pytest.raises(UserError, match="both"):
        keys_of(tmp_path / "keys")
    monkeypatch.setenv(KEYS, KEY)
    assert keys_of(None) == (KEY,) and KEYS not in os.environ


def test_no_other_page_may_ask_and_nothing_is_told_without_a_key(model):
    settings = ServerSettings(keys=("one-key-that-is-long", KEY))
    client = TestClient(create_app(model, settings))
    for header in ("", KEY, "Bearer", "Bearer ", "Bearer é", f"Bearer {KEY[:-1]}"):
        told = client.get("/v1/models", headers={"Authorization": header.encode()})
        assert told.status_code == 401
    assert client.get("/v1/models", headers=HEADERS).status_code == 200
    for path in ("/openapi.json", "/metrics", "/nowhere"):
        assert client.get(path).json()["error"]["code"] == "invalid_api_key"
    answer = client.options(
        "/v1/models",
        headers={"Origin": "http://evil", "Access-Control-Request-Method": "GET", **HEADERS},
    )
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://testserver", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://testserver:81", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://testserver"}, 200),
        ({"Origin": "http://before-a-proxy", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({}, 200),
    ],
)
def test_a_browser_asks_for_no_page_of_another_site(app, headers, status):
    sent = {"files": {"file": ("a.wav", wav(noise()))}, "data": {"model": "tried"}}
    told = app.post("/v1/audio/transcriptions", headers=headers, **sent)
    assert told.status_code == status
    assert status == 200 or told.json()["error"]["code"] == "cross_origin"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example:8000", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("[bad", 403),
        ("", 403),
    ],
)
def test_a_name_turned_to_this_machine_opens_no_server_without_keys(model, host, status):
    with TestClient(create_app(model, ServerSettings(only_here=True))) as app:
        told = app.get("/v1/models", headers={"Host": host})
    assert told.status_code == status
    assert status == 200 or told.json()["error"]["code"] == "unknown_host"


def test_keys_are_read_and_told_as_people_write_them(tmp_path):
    file = tmp_path / "keys.txt"
    file.write_bytes(b"\xef\xbb\xbf" + KEY.encode() + b"\r\n")
    settings = ServerSettings(keys=keys_of(file))
    assert settings.admits(f"Bearer {KEY}") and settings.admits(f"bearer  {KEY}")
    assert not settings.admits(KEY) and not settings.admits(f"Basic {KEY}", by_password=True)
    file.write_text("fifteen-letters")
    with pytest.raises(UserError, match="fewer than 16"):
        keys_of(file)


def test_under_v1_a_browser_s_password_is_no_key(model):
    told = b64encode(f"anybody:{KEY}".encode()).decode()
    with TestClient(create_app(model, ServerSettings(keys=(KEY,)))) as app:
        for path, status in (("/v1/models", 401), ("/metrics", 200)):
            answer = app.get(path, headers={"Authorization": f"Basic {told}"})
            assert answer.status_code == status, path


def test_a_server_whose_engine_has_ended_says_that_it_lives_and_is_not_ready(model):
    with TestClient(create_app(model, ServerSettings(only_here=False))) as app:
        app.app.state.service.engine.close()
        states = [app.get(f"/health{path}").status_code for path in ("", "/ready", "/live")]
    assert states == [503, 503, 200]


def test_tokens_are_counted_as_answers_tell_them(model):
    with TestClient(create_app(model, SETTINGS)) as app:
        used = chat(app, wav(noise())).json()["usage"]
        told = app.get("/metrics").text
    for kind, name in (("prompt", "prompt_tokens"), ("answer", "completion_tokens")):
        assert f'tokens_total{{kind="{kind}"}} {used[name]:.1f}' in told


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((), {"only_here": True, "max_upload": 25 * 2**20, "max_seconds": 7200.0}),
        (("--host", "0.0.0.0"), {"only_here": False, "keys": ()}),
        (("--keys-file", "keys.txt"), {"only_here": False, "keys": (KEY,)}),
        (
            ("--max-minutes", 2, "--max-upload-mb", 1, "--max-batch", 3, "--timeout", 7,
             "--max-requests", 5, "--name", "mine"),
            {"max_seconds": 120.0, "max_upload": 2**20, "max_batch": 3, "timeout": 7.0,
             "max_requests": 5, "name": "mine"},
        ),
    ],
)  # fmt: skip
def test_serve_runs_as_its_options_say(given, wanted, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.txt").write_text(KEY + "\n")
    made, served = [], []
    monkeypatch.setattr(SpeechVerse, "from_pretrained", lambda *named: named)
    monkeypatch.setattr("speechverse.serving.app.create_app", lambda *about: made.append(about))
    monkeypatch.setattr(
        "speechverse.serving.running.server_of",
        lambda *where: served.append(where[1:]) or SimpleNamespace(run=lambda: None),
    )
    monkeypatch.setattr("speechverse.serving.running.keep_content_out_of_logs", lambda: None)
    speechverse("serve", "runs/my", "--precision", "bf16", "--port", 0, *given)
    [(named, settings)] = made
    assert named == ("runs/my", None, "bf16")
    assert {name: getattr(settings, name) for name in wanted} == wanted
    assert served == [("0.0.0.0" if "--host" in given else "127.0.0.1", 0)]


def test_a_place_that_is_taken_is_told_before_a_model_is_loaded(monkeypatch):
    monkeypatch.setattr(SpeechVerse, "from_pretrained", lambda *named: pytest.fail("loaded"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        told = speechverse("serve", "--port", other.getsockname()[1], status=2)
    assert "Address already in use" in told.stderr and "--port (0 takes a free one)" in told.stderr
    told = speechverse("serve", "--host", "no such host", "--port", 0, status=2)
    assert "cannot listen at no such host" in told.stderr


def test_an_address_in_brackets_is_taken_as_the_page_takes_it(monkeypatch):
    tried, made, served = [], [], []
    monkeypatch.setattr("speechverse.cli.serve._check_place", lambda *where: tried.append(where))
    monkeypatch.setattr(SpeechVerse, "from_pretrained", lambda *named: named)
    monkeypatch.setattr("speechverse.serving.app.create_app", lambda *about: made.append(about[1]))
    monkeypatch.setattr(
        "speechverse.serving.running.server_of",
        lambda *where: served.append(where[1:]) or SimpleNamespace(run=lambda: None),
    )
    monkeypatch.setattr("speechverse.serving.running.keep_content_out_of_logs", lambda: None)
    speechverse("serve", "--host", "[::1]")
    assert tried == served == [("::1", 8000)] and made[0].only_here


@pytest.mark.parametrize("given", [(), ("--log-content",)])
def test_warnings_quote_what_was_asked_only_if_wanted(given, monkeypatch):
    own = logging.getLogger("speechverse")
    monkeypatch.setattr(own, "level", logging.NOTSET)
    monkeypatch.setattr(SpeechVerse, "from_pretrained", lambda *named: named)
    monkeypatch.setattr("speechverse.serving.app.create_app", lambda *about: None)
    monkeypatch.setattr(
        "speechverse.serving.running.server_of", lambda *_: SimpleNamespace(run=lambda: None)
    )
    try:
        speechverse("serve", "--port", 0, *given)
        assert own.isEnabledFor(logging.WARNING) == bool(given) and own.isEnabledFor(logging.ERROR)
    finally:
        own.setLevel(logging.NOTSET)


def test_what_is_asked_is_in_no_log(app, model, caplog, monkeypatch):
    monkeypatch.setattr(model.processor, "check_question", lambda *given, **how: 1 / 0)
    with caplog.at_level(logging.DEBUG):
        answer = chat(app, wav(noise()), "my secret")
    assert answer.status_code == 500 and "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text + answer.text and "Zero" not in answer.text


class Slow:
    """Holds a model's answers back until it is let go."""

    def __init__(self, model, monkeypatch):
        self.begun, self.go = threading.Event(), threading.Event()
        generate = model.model.generate

        def held(**inputs):
            self.begun.set()
            assert self.go.wait(20)
            return generate(**inputs)

        monkeypatch.setattr(model.model, "generate", held)


def ask(served, **how):
    return served.client.chat.completions.create(
        model="tried", messages=asking("what is said", wav(noise())), max_tokens=4, **how
    )


def wait_until(served, requests):
    """Until so many have a place."""
    told = ""
    while f"speechverse_requests_in_progress {requests}.0" not in told:
        told = httpx.get(f"{served.url}/metrics", headers=HEADERS).text


def test_one_too_many_is_told_to_come_again_and_who_leaves_frees_a_place(model, monkeypatch):
    slow = Slow(model, monkeypatch)
    with serving(model, max_requests=2, decoders=1) as served, ThreadPoolExecutor(2) as clients:
        first = clients.submit(ask, served)
        assert slow.begun.wait(20)
        for stream in (False, True):
            with pytest.raises(openai.APITimeoutError):
                ask(served, timeout=0.3, stream=stream)
            wait_until(served, 1)
        second = clients.submit(ask, served)
        wait_until(served, 2)
        with pytest.raises(openai.RateLimitError) as refused:
            ask(served)
        assert refused.value.response.headers["Retry-After"]
        assert refused.value.code == "queue_full"
        slow.go.set()
        assert first.result(20).choices == second.result(20).choices


def test_a_request_has_its_place_before_it_is_read_and_must_arrive_in_time(model):
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
    with serving(model, max_requests=1, timeout=2.0, decoders=1) as served:
        where = (served.client.base_url.host, served.client.base_url.port)
        with socket.create_connection(where) as slow:
            slow.sendall(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
            wait_until(served, 1)
            with pytest.raises(openai.RateLimitError):
                ask(served)
            assert slow.recv(12) == b"HTTP/1.1 408"
        wait_until(served, 0)


def test_a_place_is_free_once_no_thread_works_for_it_and_who_left_is_not_decoded_for():
    decoders, places, go = Decoders(ServerSettings(decoders=1)), Places(1), threading.Event()

    async def leave():
        with Call(Engine(1), places, timeout=10) as call:
            working = asyncio.ensure_future(call.in_thread(threads, go.wait))
            await asyncio.sleep(0)
        working.cancel()
        return call

    with ThreadPoolExecutor(1) as threads:
        call = asyncio.run(leave())
        assert places.taken == 1
        go.set()
    assert places.taken == 0 and call.unwanted
    with (
        pytest.raises(CancelledError),
        decoders.decoded(wav(noise()), 1.0, True, lambda: call.unwanted),
    ):
        pass
    assert decoders._free.get() is None  # none was started for it


def test_a_server_that_is_stopped_finishes_what_it_took(model, monkeypatch):
    slow = Slow(model, monkeypatch)
    with serving(model, decoders=1) as served, ThreadPoolExecutor(2) as clients:
        first, pieces = (
            clients.submit(ask, served),
            clients.submit(lambda: list(ask(served, stream=True))),
        )
        assert slow.begun.wait(20)
        wait_until(served, 2)
        served.server.should_exit = True  # as SIGTERM does
        with pytest.raises(openai.APIConnectionError):
            while True:
                served.client.models.list()
        slow.go.set()
        whole = first.result(20).choices[0].message.content
        assert "".join(piece.choices[0].delta.content or "" for piece in pieces.result(20)) == whole


def test_a_server_that_is_told_to_end_ends_as_a_success(model):
    """It does not hand the signal on, which would end the process by it."""
    handed_on = []
    before = signal.signal(signal.SIGTERM, lambda *given: handed_on.append(given))
    server = server_of(create_app(model, SETTINGS), "127.0.0.1", 0)

    def end_it():
        while not server.started:
            time.sleep(0.01)
        signal.raise_signal(signal.SIGTERM)

    try:
        threading.Thread(target=end_it, daemon=True).start()
        server.run()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert server.started and not handed_on


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_that_is_late_is_told_whether_to_come_again(model, monkeypatch, stream):
    slow = Slow(model, monkeypatch)
    with serving(model, timeout=3.0, decoders=1) as served, ThreadPoolExecutor(3) as clients:
        first = clients.submit(ask, served, stream=stream)
        assert slow.begun.wait(20)
        second = clients.submit(ask, served, temperature=1, stream=stream)
        assert isinstance(first.exception(20), openai.InternalServerError)
        assert first.exception().status_code == 504
        assert second.exception(20).status_code == 503
        assert second.exception().response.headers["Retry-After"]
        slow.go.set()
        assert ask(served).choices
