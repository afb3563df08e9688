"""Sounds at an address of the network, fetched only where whoever asks says so."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from speechverse.errors import AudioError
from speechverse.types import Seconds

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_BLOCK = 2**16
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_REFUSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("192.0.0.0/24", "::/96", "::ffff:0:0:0/96"),  # not every Python knows all of these
        *("64:ff9b:1::/48", "fec0::/10"),
        "168.63.129.16/32",  # a cloud's own host, which only its machines reach
    )
)


@dataclass(frozen=True)
class Address:
    """Allows what is at a public http or https address to be fetched as a sound, into memory:
    `model.ask(Address("https://..."), "What is said?")`.

    Whoever names addresses for others must not reach what only this machine does: those of private
    networks are refused, also where a name or a redirect leads to one. Proxies are not used.

    Attributes:
        url: The address.
        most_bytes: That may come.
        timeout: Seconds for all of it, once the name is looked up.
    """

    url: str
    most_bytes: int = 100 * 2**20
    timeout: Seconds = 60.0

    def __str__(self) -> str:
        """Without what may be a secret."""
        return _named(self.url)

    def fetch(self) -> bytes:
        """What is there.

        Raises:
            AudioError: If it is no public address, or what is there cannot be had in these bounds.
        """
        deadline = time.monotonic() + self.timeout
        url = self.url
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._get(url, deadline)
            if isinstance(answer, bytes):
                return answer
            if _is_safe(url) and not _is_safe(answer):
                raise AudioError(f"'{self}' leads on to an address without encryption")
            url = answer
        raise AudioError(
            f"'{self}' leads from one address to the next more than {_MOST_REDIRECTS} times"
        )

    def _get(self, url: str, deadline: float) -> bytes | str:
        """What is there, or the address that it leads on to."""
        parts = _checked(url)
        try:
            with _connected(parts, deadline) as connection:
                path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
                plain = {"Accept-Encoding": "identity", "User-Agent": "speechverse"}
                connection.request("GET", path, headers=plain)
                with connection.getresponse() as answer:
                    if answer.status in _REDIRECTS:
                        return urljoin(url, answer.getheader("Location", ""))
                    if answer.status != 200:
                        raise AudioError(f"'{self}' answers with status {answer.status}")
                    content = self._read(answer)
                _left(deadline)  # what ends then was broken off
                return content
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= deadline:
                raise AudioError(f"'{self}' did not arrive in {self.timeout:g} s") from error
            why = str(error) or type(error).__name__
            raise AudioError(f"'{self}' cannot be fetched: {why}") from error

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        told, blocks, come = answer.length, list[bytes](), 0
        if (told or 0) > self.most_bytes:
            raise self._too_large()
        while block := answer.read1(_BLOCK):
            blocks.append(block)
            come += len(block)
            if come > self.most_bytes:
                raise self._too_large()
        if told is not None and come < told:
            raise ConnectionError(f"it broke off {told - come} bytes before its end")
        return b"".join(blocks)

    def _too_large(self) -> AudioError:
        return AudioError(
            f"'{self}' has more than {self.most_bytes:,} bytes: allow more (`most_bytes`), or"
            " download it and name the file"
        )


def _is_safe(url: str) -> bool:
    return url.lower().startswith("https:")


def _named(url: str) -> str:
    """Without what may be a secret: a query, or a name and a password."""
    plain = url.partition("?")[0].partition("#")[0]
    scheme, there, rest = plain.partition("://")
    return scheme + there + rest.rpartition("@")[2]


def _checked(url: str) -> SplitResult:
    """Raises an AudioError for what is no address of this kind."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        fits = False
    if not fits or not url.isascii() or any(sign <= " " or sign == "\x7f" for sign in url):
        raise AudioError(f"'{_named(url)}' is no address such as https://example.org/clip.wav")
    if parts.username is not None or parts.password is not None:
        raise AudioError("an address with a name or a password in it is not fetched")
    return parts


@contextmanager
def _connected(parts: SplitResult, deadline: float) -> Iterator[http.client.HTTPConnection]:
    """A connection to an address that was looked at: names are not looked up a second time, when
    they may lead elsewhere. It ends at the deadline, however slowly something comes.
    """
    host, is_safe = str(parts.hostname), parts.scheme == "https"
    port = parts.port or (443 if is_safe else 80)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not all(is_public(str(place[0])) for *_, place in found):
        raise AudioError(
            f"'{host}' is in a private network, of which nothing is fetched; download it yourself,"
            " and name the file"
        )
    sock = _first_that_answers(found, deadline)

    def shut() -> None:  # the socket itself: a connection lets go of it before all is read
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    connection = http.client.HTTPConnection(host, port)
    connection.default_port = 443 if is_safe else 80
    connection.sock = sock
    ending = threading.Timer(deadline - time.monotonic(), shut)
    ending.daemon = True
    try:
        ending.start()
        if is_safe:
            safe = ssl.create_default_context().wrap_socket(
                sock, server_hostname=host, do_handshake_on_connect=False
            )
            connection.sock = sock = safe
            safe.do_handshake()
        yield connection
    finally:
        ending.cancel()
        connection.close()


def _first_that_answers(found: list[Any], deadline: float) -> socket.socket:
    error: OSError = OSError("its name leads to no address")
    for family, kind, protocol, _, place in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_left(deadline))
            sock.connect(place)
            return sock
        except OSError as fault:
            sock.close()
            error = fault
    raise error


def _left(deadline: float) -> Seconds:
    if (left := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also once translated to IPv4."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    inside = [ip]
    if any(ip in network for network in _REFUSED):
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        teredo = ip.teredo[1] if ip.teredo else None
        nat64 = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
        translated = [ip.ipv4_mapped, ip.sixtofour, teredo, nat64]
        inside = [one for one in translated if one is not None] or inside
    return all(
        one.is_global and not one.is_multicast and not any(one in network for network in _REFUSED)
        for one in inside
    )
