"""A file from a server that may send anything, or nearly nothing, for ever."""

import gzip
import hashlib
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from ltsm.core import download, idx, transfer
from ltsm.core.transfer import Bounds, TransferError
from ltsm.errors import DataError

CONTENT = b"images" * 1000
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
BOUNDS = Bounds(at_most=10_000, seconds=20, timeout=5)


class Server(BaseHTTPRequestHandler):
    """Answers each path in its own way."""

    def do_GET(self):
        getattr(self, self.path.strip("/").replace("-", "_"))()

    def log_message(self, *_):
        pass

    def whole(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def large(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(bytes(1_350_000))

    def endless(self):
        self.send_response(200)
        self.end_headers()
        self._dripping(bytes(65536), 0)

    def a_byte_at_a_time(self):
        self.send_response(200)
        self.end_headers()
        self._dripping(b"x", 0.05)

    def slow_headers(self):
        self.wfile.write(b"HTTP/1.0 200 OK\r\n")
        self._dripping(b"X", 0.05)

    def to_a_file(self):
        self._elsewhere("file:///etc/passwd")

    def to_ftp(self):
        self._elsewhere("ftp://127.0.0.1:9/x")

    def to_whole(self):
        self._elsewhere("/whole")

    def _elsewhere(self, address):
        self.send_response(302)
        self.send_header("Location", address)
        self.end_headers()

    def _dripping(self, block, pause):
        try:
            while not self.server.stopping.is_set():
                self.wfile.write(block)
                self.wfile.flush()
                time.sleep(pause)
        except OSError:
            pass


@pytest.fixture
def url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.stopping = threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.stopping.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("path", ["whole", "to_whole"])
def test_the_published_file_comes(url, tmp_path, path):
    transfer.fetch(f"{url}/{path}", tmp_path / "file", MD5, BOUNDS, print)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_long_download_says_how_much_has_come(url, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "TELL_EVERY", 0.0)
    said = []
    assert not download._from_first_mirror("whole", MD5, [f"{url}/"], tmp_path, BOUNDS, said.append)
    assert said[0] == f"whole from {url}/"
    assert said[-1] == "0.0 MB have come, of at most 0.0"


def test_an_endless_body_ends_at_the_published_size(url, tmp_path):
    """Taken out: `at_most`; 8.4 GB were written in 30 seconds."""
    with pytest.raises(TransferError, match="more than the 10,000 bytes"):
        transfer.fetch(f"{url}/endless", tmp_path / "file", MD5, BOUNDS, print)
    assert (tmp_path / "file").stat().st_size <= 10_000


@pytest.mark.parametrize("path", ["a_byte_at_a_time", "slow_headers"])
def test_a_few_bytes_at_a_time_are_given_up(url, tmp_path, monkeypatch, path):
    """Taken out: `LEAST_RATE`; it held the command until the whole time was over, and without that for ever."""
    monkeypatch.setattr(transfer, "WINDOW", 0.2)
    with pytest.raises(TransferError, match="fewer than 1,000 bytes a second"):
        transfer.fetch(f"{url}/{path}", tmp_path / "file", MD5, BOUNDS, print)


def test_the_whole_time_is_bounded(url, tmp_path):
    """Taken out: `seconds`; nothing ended it."""
    bounds = Bounds(at_most=10**12, seconds=0.3, timeout=5)
    with pytest.raises(TransferError, match=r"longer than 0\.005 minutes"):
        transfer.fetch(f"{url}/endless", tmp_path / "file", MD5, bounds, print)


@pytest.mark.parametrize("path", ["to_a_file", "to_ftp"])
def test_redirects_lead_to_no_other_kind_of_address(url, tmp_path, path):
    """Taken out: `_Redirects`; urllib asked an FTP server. Files it refuses itself."""
    with pytest.raises(OSError, match=r"it redirects to ftp|is not allowed"):
        transfer.fetch(f"{url}/{path}", tmp_path / "file", MD5, BOUNDS, print)


def test_other_kinds_of_addresses_are_not_opened(tmp_path):
    (tmp_path / "there").write_bytes(CONTENT)
    with pytest.raises(OSError, match="unknown url type: file"):
        transfer.fetch(f"file://{tmp_path}/there", tmp_path / "file", MD5, BOUNDS, print)


def test_an_https_address_is_asked_by_tls(url, tmp_path):
    """A server that does not speak it is not believed."""
    with pytest.raises(OSError, match=r"SSL|TLS"):
        transfer.fetch(f"{url}/whole".replace("http:", "https:"), tmp_path / "file", MD5, BOUNDS, print)


def test_how_much_has_come_is_told(url, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "TELL_EVERY", 0.0)
    said = []
    md5 = hashlib.md5(bytes(1_350_000), usedforsecurity=False).hexdigest()
    transfer.fetch(f"{url}/large", tmp_path / "file", md5, replace(BOUNDS, at_most=2 * 10**9), said.append)
    assert said[-1] == "1.4 MB have come, of at most 2,000.0"


def test_nothing_is_begun_that_would_not_fit(tmp_path, monkeypatch):
    """Taken out: `_refuse_full`; the disk was filled first."""
    free = 10**6
    monkeypatch.setattr(
        download.shutil, "disk_usage", lambda _: download.shutil._ntuple_diskusage(0, 0, free)
    )
    with pytest.raises(DataError, match=r"has 1\.0 MB free, and train-images-idx3-ubyte may take 94\.1"):
        download.download(idx.MNIST, tmp_path, ["http://127.0.0.1:9/"])


@pytest.mark.parametrize("file", idx.MNIST.files, ids=lambda file: file.name)
def test_what_is_sent_may_be_as_long_as_random_bytes_packed(file):
    """gzip makes what it cannot pack a little longer; a published file must never be refused for its length."""
    size = min(file.limit, 10**6)
    noise = np.random.default_rng(0).bytes(size)
    assert len(gzip.compress(noise)) <= idx.PublishedFile("x", size, "").sent
