"""The page in a server's process: one engine, one door, and the server's own paths as they were."""

from __future__ import annotations

import asyncio
import base64
import time

import httpx2 as httpx
import numpy as np
import pytest

pytest.importorskip("gradio", reason="the page needs the extra 'demo'")
from served import KEY, asking, noise, serving, wav
from speechverse.audio import Waveform, save
from speechverse.demo.mounted import with_page

pytestmark = pytest.mark.filterwarnings("ignore")  # the web libraries' own
BEARER = {"Authorization": f"Bearer {KEY}"}
BY_PASSWORD = {"Authorization": "Basic " + base64.b64encode(f"anybody:{KEY}".encode()).decode()}


def within_a_loop(app):
    """The page made where a loop runs: elsewhere gradio makes loops that it never closes."""

    async def made():
        return with_page(app)

    return asyncio.run(made())


@pytest.fixture(scope="module")
def served(model):
    with serving(model, around=within_a_loop, max_seconds=5.0, decoders=1) as running:
        yield running
        began = time.monotonic()
    assert time.monotonic() - began < 30  # pages that are still open keep no server from its end


def ask(served, clip):
    from gradio_client import Client

    client = Client(served.url, headers=BY_PASSWORD, verbose=False, analytics_enabled=False)
    told = client.predict(clip, "Which?", "yes, no", "", "score", False, api_name="/ask")
    return told[0] if isinstance(told, tuple | list) else told


def test_page_and_clients_ask_the_same_engine(served, clip, tmp_path):
    from gradio_client import handle_file

    def batches():
        told = httpx.get(f"{served.url}/metrics", headers=BEARER).text
        return next(x for x in told.splitlines() if x.startswith("speechverse_batch_size_count"))

    before = batches()
    assert "sv-shares" in ask(served, handle_file(clip))
    assert batches() != before
    answer = served.client.chat.completions.create(
        model="tried", messages=asking("what", wav(noise())), max_tokens=4
    )
    assert answer.choices[0].message.content is not None
    save(tmp_path / "long.wav", Waveform(np.zeros(6 * 16_000, np.float32)))
    assert "longer than the 5 s that are heard here" in ask(
        served, handle_file(tmp_path / "long.wav")
    )


def test_the_page_fetches_no_addresses(served):
    from gradio_client.exceptions import AppError

    address = {"path": "https://example.org/clip.wav", "meta": {"_type": "gradio.FileData"}}
    with pytest.raises(AppError, match="no addresses are fetched"):
        ask(served, address)


def test_nothing_of_the_page_is_had_without_a_key_and_v1_wants_it_said_by_the_client(served):
    for path in ("/", "/config", "/gradio_api/info", "/theme.css", "/nowhere"):
        told = httpx.get(served.url + path)
        assert told.status_code == 401, path
        assert told.headers["WWW-Authenticate"].startswith("Basic")
    for faulty in ("Basic", "Basic !", "Basic " + base64.b64encode(b"anybody:").decode()):
        assert httpx.get(served.url, headers={"Authorization": faulty}).status_code == 401
    page = httpx.get(served.url, headers=BY_PASSWORD)
    assert page.status_code == 200 and "SpeechVerse" in page.text
    # A page elsewhere can have a browser send what it was told once.
    assert httpx.get(f"{served.url}/v1/models", headers=BY_PASSWORD).status_code == 401
    assert httpx.get(f"{served.url}/v1/models", headers=BEARER).status_code == 200


def test_the_paths_of_the_server_stay_its_own_and_closed_to_other_pages(served):
    for method, path, status in (
        ("GET", "/v1/nowhere", 404),
        ("GET", "/v1/chat/completions", 405),
        ("GET", "/health", 200),
    ):
        told = httpx.request(method, served.url + path, headers=BEARER)
        assert told.status_code == status
        assert status == 200 or told.json()["error"]["message"]
    evil = {"Origin": "http://evil.example", "Host": "server.example", **BY_PASSWORD}
    told = httpx.get(f"{served.url}/config", headers=evil)
    assert told.status_code == 200 and "access-control-allow-origin" not in told.headers
