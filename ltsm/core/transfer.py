"""One file over HTTP, within bounds: so many bytes, so long, never slower than so, and from no other kind of address."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import IO, TYPE_CHECKING, Any
from urllib import request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.client import HTTPMessage
    from pathlib import Path

LEAST_RATE = 1_000
WINDOW = 30.0
"""Fewer than `LEAST_RATE` bytes a second over so many seconds, and a connection is cut."""
TELL_EVERY = 10.0
_TICK = 0.05
_BLOCK = 1 << 16


class TransferError(OSError):
    """The file did not come; the text says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a file may cost: `at_most` bytes, `seconds` in all, `timeout` seconds without any answer."""

    at_most: int
    seconds: float
    timeout: float


def fetch(address: str, target: Path, md5: str, bounds: Bounds, say: Callable[[str], None]) -> None:
    """Write what `address` sends to the new file `target`.

    Args:
        address: http or https.
        target: where to.
        md5: of the file that is wanted.
        bounds: within which it has to come.
        say: is told every ten seconds how much has come.

    Raises:
        TransferError: it is another file, longer than the bounds, or takes too long.
        OSError, HTTPException, ValueError: there is no such address, it does not answer, or `target` cannot be written.
    """
    with _watched(bounds.seconds) as watch, target.open("xb") as file:
        try:
            digest = _received(watch, address, file, bounds, say)
        except (OSError, HTTPException, ValueError) as error:
            if watch.verdict:
                raise TransferError(watch.verdict) from error
            raise
    if watch.verdict:
        raise TransferError(watch.verdict)
    if digest != md5:
        raise TransferError("what it sends is not the published file")


def _received(
    watch: _Watch, address: str, file: IO[bytes], bounds: Bounds, say: Callable[[str], None]
) -> str:
    """Write what comes to `file`; its MD5."""
    digest, told = hashlib.md5(usedforsecurity=False), time.monotonic()
    asked = request.Request(address, headers={"User-Agent": "ltsm"})  # noqa: S310 - the opener knows http and https alone
    with _opener(watch).open(asked, timeout=bounds.timeout) as answer:
        # What is there, however little: `read` would wait until a whole block has come.
        while block := answer.read1(_BLOCK):
            watch.arrived += len(block)
            if watch.arrived > bounds.at_most:
                raise TransferError(f"it sends more than the {bounds.at_most:,} bytes of the published file")
            digest.update(block)
            file.write(block)
            if time.monotonic() - told >= TELL_EVERY:
                told = time.monotonic()
                say(f"{watch.arrived / 1e6:,.1f} MB have come, of at most {bounds.at_most / 1e6:,.1f}")
    return digest.hexdigest()


@dataclass(slots=True)
class _Watch:
    """Cuts a connection that is too slow or takes too long, whatever the other thread waits for in it."""

    seconds: float
    arrived: int = 0
    verdict: str = ""
    sockets: list[socket.socket] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look until all is over."""
        began = mark = time.monotonic()
        before = 0
        while not self.ended.wait(_TICK):
            now = time.monotonic()
            if now - began > self.seconds:
                self._cut(f"it takes longer than {self.seconds / 60:g} minutes")
            elif now - mark >= WINDOW:
                if self.arrived - before < LEAST_RATE * WINDOW:
                    self._cut(f"it sends fewer than {LEAST_RATE:,} bytes a second")
                mark, before = now, self.arrived

    def _cut(self, why: str) -> None:
        self.verdict = self.verdict or why
        for one in self.sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def _watched(seconds: float) -> Iterator[_Watch]:
    watch = _Watch(seconds)
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.ended.set()
        thread.join()


def _opener(watch: _Watch) -> request.OpenerDirector:
    """What opens http and https, follows redirects to these alone, and tells the watch of its sockets."""
    found = request.OpenerDirector()
    for handler in (
        *(request.ProxyHandler(), request.UnknownHandler(), request.HTTPDefaultErrorHandler()),
        *(_Redirects(), request.HTTPErrorProcessor(), _Http(watch), _Https(watch)),
    ):
        found.add_handler(handler)
    return found


class _Redirects(request.HTTPRedirectHandler):
    def redirect_request(
        self, req: request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> request.Request | None:
        if not newurl.startswith(("http://", "https://")):
            raise TransferError(f"it redirects to {newurl[:80]}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Told(HTTPConnection):
    """A connection that tells a watch of its socket, which urllib lets go of once the headers are there."""

    def __init__(self, *arguments: Any, watch: _Watch, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._watch = watch

    def connect(self) -> None:
        super().connect()
        self._watch.sockets.append(self.sock)


class _ToldSecurely(_Told, HTTPSConnection):
    """The same over TLS."""


class _Http(request.HTTPHandler):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._kind: Any = partial(_Told, watch=watch)

    def http_open(self, req: request.Request) -> Any:
        return self.do_open(self._kind, req)


class _Https(request.HTTPSHandler):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._kind: Any = partial(_ToldSecurely, watch=watch, context=ssl.create_default_context())

    def https_open(self, req: request.Request) -> Any:
        return self.do_open(self._kind, req)
