"""Sounds of the network: only public ones, only whole ones, and only where someone asks."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import soundfile

from speechverse.audio import Address, address, load
from speechverse.errors import AudioError


def tone() -> bytes:
    file = io.BytesIO()
    wave = 0.3 * np.sin(np.arange(16_000) / 5)
    soundfile.write(file, wave, 16_000, format="WAV")
    return file.getvalue()


class Site(BaseHTTPRequestHandler):
    asked: list[str] = []
    pieces: list[int] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        match self.path.partition("?")[0]:
            case "/clip.wav":
                self.give(tone())
            case "/empty":
                self.give(b"")
            case "/page":
                self.give(b"<html>no sound</html>")
            case "/moved":
                self.lead("clip.wav")
            case "/circle":
                self.lead("/circle")
            case "/inside":
                self.lead(f"http://127.0.0.2:{self.server.server_address[1]}/clip.wav")
            case "/file":
                self.lead("file:///etc/passwd")
            case "/open":  # no length told, and no end
                self.send_response(200)
                self.end_headers()
                self.endless(b"\0" * 65_536, 0)
            case "/broken":
                self.give(tone()[:5_000], told=32_044)
            case "/drip":
                self.send_response(200)
                self.end_headers()
                self.endless(b"\0", 0.05)
            case "/dripping-head":
                self.endless(b"H", 0.05)
            case _:
                self.send_error(404)

    def give(self, content: bytes, told: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) if told is None else told))
        self.end_headers()
        self.wfile.write(content)

    def lead(self, to: str) -> None:
        self.send_response(302)
        self.send_header("Location", to)
        self.end_headers()

    def endless(self, piece: bytes, pause: float) -> None:
        for _ in range(2_000):
            try:
                self.wfile.write(piece)
                self.pieces.append(len(piece))
            except OSError:
                return
            time.sleep(pause)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A site on this machine, which is taken for a public one."""
    monkeypatch.setattr(address, "is_public", lambda place: place == "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Site.asked = []
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["/clip.wav", "/moved", "/clip.wav?key=1#part"])
def test_what_is_there_is_heard_as_a_file_would_be(site: str, path: str) -> None:
    there = load(Address(site + path))
    np.testing.assert_array_equal(there.samples, load(tone()).samples)


def test_a_query_is_sent_and_told_nobody(site: str) -> None:
    with pytest.raises(AudioError) as caught:
        load(Address(f"{site}/none.wav?token=secret"))
    assert Site.asked == ["/none.wav?token=secret"]
    assert "status 404" in str(caught.value) and "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/empty", "is empty"),
        ("/page", "it looks like text"),
        ("/circle", "more than 5 times"),
        ("/inside", "private network"),
        ("/file", "no address such as"),
        ("/broken", "27044 bytes before its end"),
        ("/open", "more than 1,000,000 bytes"),
    ],
)
def test_what_cannot_be_had_is_told_by_its_reason(site: str, path: str, told: str) -> None:
    with pytest.raises(AudioError, match=told):
        load(Address(site + path, most_bytes=1_000_000))


def test_what_tells_of_more_than_allowed_is_not_read(site: str) -> None:
    with pytest.raises(AudioError, match="more than 1,000 bytes"):
        load(Address(f"{site}/clip.wav", most_bytes=1_000))


@pytest.mark.parametrize("path", ["/drip", "/dripping-head"])
def test_time_is_up_however_slowly_something_comes(site: str, path: str) -> None:
    sent = len(Site.pieces)
    with pytest.raises(AudioError, match="did not arrive in 0.3 s"):
        load(Address(site + path, timeout=0.3))
    assert len(Site.pieces) - sent < 100  # of two thousand, some of which wait to be read


def test_encryption_is_not_left_out(site: str) -> None:
    with pytest.raises(AudioError, match="cannot be fetched"):
        load(Address(site.replace("http:", "https:") + "/clip.wav"))


@pytest.mark.parametrize(
    "url",
    [
        "clip.wav",
        "ftp://example.org/a",
        "http://",
        "http://a:99999/",
        "http://a/\r\nX: 1",
        "",
        "http://[::1",
    ],
)
def test_other_strings_are_no_addresses(url: str) -> None:
    with pytest.raises(AudioError, match="no address such as"):
        load(Address(url))


@pytest.mark.parametrize("rest", ["example.org/clip.wav", "example.org:99999/", "exämple.org/"])
def test_a_password_is_neither_sent_nor_told(rest: str) -> None:
    asked = Address(f"https://me:secret@{rest}")
    with pytest.raises(AudioError) as caught:
        load(asked)
    assert "secret" not in str(caught.value) and "secret" not in str(asked)


def test_a_name_is_looked_up_once(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port, asked = int(site.rpartition(":")[2]), []

    def look_up(host: str, *_: object, **__: object) -> list:
        asked.append(host)  # the second time it would lead elsewhere
        place = ("127.0.0.1" if len(asked) == 1 else "127.0.0.2", port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert len(load(Address(f"http://clips.example:{port}/clip.wav")).samples)
    assert asked == ["clips.example"]


def test_nobody_is_led_out_of_encryption(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Address, "_get", lambda self, url, deadline: "http://example.org/a.wav")
    with pytest.raises(AudioError, match="without encryption"):
        load(Address("https://example.org/a.wav"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1"])
def test_this_machine_is_never_asked(host: str) -> None:
    with pytest.raises(AudioError, match="private network"):
        load(Address(f"http://{host}:9/clip.wav"))


@pytest.mark.parametrize(
    ("place", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("64:ff9b::5db8:d70e", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("fec0::1", False),
        ("192.0.0.192", False),
        ("::ffff:192.0.0.192", False),
        ("168.63.129.16", False),
        ("::127.0.0.1", False),
        ("::ffff:0:127.0.0.1", False),
        ("64:ff9b:1::7f00:1", False),
    ],
)
def test_private_networks_are_known_in_every_form(place: str, public: bool) -> None:
    assert address.is_public(place) == public


def test_a_string_is_a_path_and_fetches_nothing(site: str) -> None:
    with pytest.raises(AudioError, match="unasked"):
        load(f"{site}/clip.wav")
    assert Site.asked == []
