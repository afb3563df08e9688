"""The page, served: through gradio's own client, and in Chromium where it is installed."""

from __future__ import annotations

import asyncio
import gc
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

gradio = pytest.importorskip("gradio", reason="the page needs the extra 'demo'")
import httpx  # noqa: E402

from speechverse.demo import build_page, door, look  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # the web libraries' own


@pytest.fixture(scope="module")
def address(model, clip) -> Iterator[str]:
    page = build_page(model, [clip])
    how = {"quiet": True, "prevent_thread_lock": True, "share": False}
    _, where, _ = page.launch(server_name="127.0.0.1", **how, **look(), **door(only_here=True))
    yield where
    page.close()
    asyncio.set_event_loop(None)
    gc.collect()  # loops that gradio made and never closes, of which later tests would be told


def test_the_page_answers_and_words_its_errors(address: str, clip: Path, tmp_path: Path) -> None:
    from gradio_client import Client, handle_file

    client = Client(address, verbose=False, analytics_enabled=False)
    how = {"choices": "yes, no", "hints": "", "picking": "score", "beside": False}

    def ask(sound: object, instruction: str) -> str:
        # By place: gradio names them by the page's labels.
        told = client.predict(sound, instruction, *how.values(), api_name="/ask")
        return told[0] if isinstance(told, tuple | list) else told

    assert "sv-shares" in ask(handle_file(clip), "Which?")
    assert "the instruction is empty" in ask(handle_file(clip), "")
    (tmp_path / "notes.wav").write_text("no sound")
    refused = ask(handle_file(tmp_path / "notes.wav"), "Which?")
    assert "not audio that can be read" in refused and "Traceback" not in refused
    assert "/tmp" not in refused


def test_a_name_turned_to_this_machine_opens_no_page(address: str) -> None:
    port = address.rstrip("/").rpartition(":")[2]
    for host, status in ((f"localhost:{port}", 200), (f"evil.example:{port}", 400)):
        assert httpx.get(address, headers={"Host": host}).status_code == status


@contextmanager
def browsing(*switches: str) -> Iterator[Any]:
    """Chromium, as Debian has it."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="there is no playwright")
    with (
        playwright.sync_playwright() as web,
        web.chromium.launch(executable_path=chromium, args=["--no-sandbox", *switches]) as browser,
    ):
        yield browser


def opened(browser: Any, address: str, faults: list[str]) -> Any:
    """The page on a telephone's screen; what goes wrong with it is added to `faults`."""
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.set_default_timeout(120_000)  # of a machine that has other work
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on(
        "request",
        lambda r: r.url.startswith((address, "data:", "blob:")) or faults.append(r.url),
    )
    page.goto(address)
    return page


def test_in_a_browser_a_clip_is_answered_and_nothing_leaves_the_machine(
    address: str, clip: Path
) -> None:
    faults: list[str] = []
    with browsing() as browser:
        page = opened(browser, address, faults)
        page.get_by_label("Upload file").click()
        page.set_input_files("input[type=file]", clip)
        page.get_by_role("img", name="Spectrogram").wait_for()
        page.get_by_label("Choices").fill("yes, no")
        page.get_by_role("button", name="Ask", exact=True).click()
        page.locator(".sv-shares").wait_for()
        page.get_by_text(clip.name).first.click()  # of those to try
        page.locator(".sv-shares").wait_for(state="detached")
        page.get_by_role("tab", name="Transcript").click()
        page.get_by_label("The LLM").check()
        page.get_by_role("button", name="Write down").click()
        page.get_by_text("Nobody speaks in it.").wait_for()
        assert page.locator(".sv-player").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults == []


def test_what_a_microphone_hears_is_answered(address: str, tmp_path: Path) -> None:
    hum = 0.3 * np.sin(np.arange(4 * 48_000) * 2 * np.pi * 440 / 48_000)
    soundfile.write(tmp_path / "said.wav", hum, 48_000, subtype="PCM_16")
    faults: list[str] = []
    with browsing(
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={tmp_path / 'said.wav'}",
    ) as browser:
        page = opened(browser, address, faults)
        page.get_by_role("button", name="Record", exact=True).click()
        page.wait_for_timeout(700)
        page.get_by_role("button", name="Stop", exact=True).first.click()
        page.get_by_role("img", name="Spectrogram").wait_for()
        page.get_by_label("Choices").fill("yes, no")
        page.get_by_role("button", name="Ask", exact=True).click()
        page.locator(".sv-shares").wait_for()
    assert faults == []
