"""Fetching a file by its address, from servers on loopback that are more or less honest."""

import errno
import hashlib
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tdmr1 import downloads, url_file
from tdmr1.errors import UserError
from tdmr1.url_file import UrlFile, checkpoints, fetch_file

CONTENT = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
COMMAND = "tdmr1 rewards fetch mine"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        ranged = self.headers.get("Range")
        first = int(ranged[len("bytes=") : -1]) if ranged and self.server.ranges else 0
        self.server.asked.append(ranged)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        if first >= len(CONTENT):
            self.send_error(416)
            return
        content = self.server.content[first:]
        self.send_response(206 if first else 200)
        if first:
            last = len(self.server.content)
            begins = first + self.server.shifted
            self.send_header("Content-Range", f"bytes {begins}-{last - 1}/{last}")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: self.server.sent])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    """One that has the file, and nothing on this machine yet."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content, server.status, server.ranges = CONTENT, 200, True
        server.asked, server.sent, server.shifted = [], None, 0
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def file(server):
    """Of which the first digits of the hash are known."""
    return UrlFile(f"http://127.0.0.1:{server.server_address[1]}/v1/my%20net.pth?x=1", DIGEST[:8])


def part_of(file):
    place = file.place()
    place.parent.mkdir(parents=True, exist_ok=True)
    return place.with_name(f".{place.name}.part")


def test_it_lies_where_torch_looks_and_is_asked_for_once(file, server, tmp_path):
    assert fetch_file(file, COMMAND) == len(CONTENT)
    place = tmp_path / "torch" / "hub" / "checkpoints" / "my net.pth"
    assert file.place() == place and place.read_bytes() == CONTENT
    assert fetch_file(file, COMMAND) == len(CONTENT)
    assert server.asked == [None]
    assert [*place.parent.iterdir()] == [place]


def test_the_folder_is_the_one_that_torch_has(monkeypatch, tmp_path):
    import torch

    for variable in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
        assert checkpoints().is_relative_to(tmp_path / variable)
        assert str(checkpoints()) == f"{torch.hub.get_dir()}/checkpoints"
        monkeypatch.delenv(variable)
    assert str(checkpoints()) == f"{torch.hub.get_dir()}/checkpoints"


@pytest.mark.parametrize(
    ("begun", "asked"),
    [
        (CONTENT[:5000], ["bytes=5000-"]),
        (CONTENT, []),
        (b"!" * 5000, ["bytes=5000-", None]),
        (b"!" * (len(CONTENT) + 1), [f"bytes={len(CONTENT) + 1}-", None]),
    ],
)
def test_a_download_that_was_killed_is_gone_on_with(file, server, begun, asked):
    part_of(file).write_bytes(begun)
    fetch_file(file, COMMAND)
    assert file.place().read_bytes() == CONTENT and not part_of(file).exists()
    assert server.asked == asked


@pytest.mark.parametrize("shifted", [0, 7])
def test_a_server_without_parts_or_with_others_sends_all_of_it(file, server, shifted):
    server.ranges, server.shifted = bool(shifted), shifted
    part_of(file).write_bytes(CONTENT[:5000])
    fetch_file(file, COMMAND)
    assert file.place().read_bytes() == CONTENT


def test_a_connection_that_is_lost_is_gone_on_with(file, server):
    server.sent = 100_000
    says = r"download of my net\.pth stopped after 0 MB \(the connection was closed\); the same co"
    with pytest.raises(UserError, match=says):
        fetch_file(file, COMMAND)
    assert not file.place().exists() and part_of(file).stat().st_size == 100_000
    server.sent = None
    fetch_file(file, COMMAND)
    assert server.asked == [None, "bytes=100000-"]
    assert file.place().read_bytes() == CONTENT


def test_a_server_that_says_no_more_is_left(file, server, monkeypatch):
    monkeypatch.setattr(url_file, "TIME_LIMIT", 0.2)
    done = threading.Event()
    monkeypatch.setattr(Handler, "finish", lambda handler: done.wait(10))
    server.sent = 100_000
    try:
        with pytest.raises(UserError, match=r"stopped after 0 MB \(timed out\); the same command"):
            fetch_file(file, COMMAND)
    finally:
        done.set()
    assert part_of(file).stat().st_size > 0


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"!", b"<html>moved</html>"])
def test_another_file_than_the_hash_says_is_refused(file, server, content):
    server.content = content
    says = rf"has is damaged, or another file: the SHA-256 of my net\.pth .* {DIGEST[:8]}\.\.\."
    with pytest.raises(UserError, match=says):
        fetch_file(file, COMMAND)
    assert not file.place().parent.exists()


def test_a_damaged_file_is_fetched_again(file, server):
    fetch_file(file, COMMAND)
    file.place().write_bytes(CONTENT[:-1] + b"!")
    fetch_file(file, COMMAND)
    assert file.place().read_bytes() == CONTENT


AWAY = r"On a machine that reaches it: tdmr1 rewards fetch mine --to FOLDER, then here: tdmr1 rewa"


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_nothing_is_asked(file, server, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    says = rf"my net\.pth is not on this machine, and {re.escape(file.url)} cannot be reached "
    with pytest.raises(UserError, match=rf"{says}\(HF_HUB_OFFLINE is set\)\. {AWAY}"):
        fetch_file(file, COMMAND)
    monkeypatch.setenv(variable, "0")
    fetch_file(file, COMMAND)
    monkeypatch.setenv(variable, "true")
    assert fetch_file(file, COMMAND) == len(CONTENT)
    file.place().write_bytes(b"")
    with pytest.raises(UserError, match="is damaged, and"):
        fetch_file(file, COMMAND)
    assert len(server.asked) == 1


def test_a_server_that_cannot_be_reached_is_as_offline(server):
    file = UrlFile("http://127.0.0.1:9/net.pth", DIGEST)
    with pytest.raises(UserError, match=rf"cannot be reached \(.*refused\)\. {AWAY}"):
        fetch_file(file, COMMAND)


def test_an_answer_that_is_no_file_is_told(file, server):
    server.status = 404
    with pytest.raises(UserError, match=r"answers 404 Not Found; try again later, or have the fi"):
        fetch_file(file, COMMAND)


def test_it_is_carried_to_where_there_is_no_network(file, server, monkeypatch, tmp_path):
    disk = tmp_path / "a disk"
    fetch_file(file, COMMAND, home=disk)
    assert not file.place().exists()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch_file(file, COMMAND, carried=disk) == len(CONTENT)
    assert file.place().read_bytes() == CONTENT
    file.place().unlink()
    file.place(disk).write_bytes(b"!")
    with pytest.raises(UserError, match=r"what .*a disk.* has is damaged, or another file"):
        fetch_file(file, COMMAND, carried=disk)
    with pytest.raises(UserError, match=rf"there is no .*nowhere.*; fill .* {COMMAND} --to FOLDE"):
        fetch_file(file, COMMAND, carried=tmp_path / "nowhere")
    assert len(server.asked) == 1


ELSEWHERE = "make room, or name another folder: TORCH_HOME=FOLDER, for the runs, too"


def test_without_room_nothing_is_fetched(file, monkeypatch):
    monkeypatch.setattr(
        downloads.shutil, "disk_usage", lambda path: type("usage", (), {"free": 10_000})
    )
    with pytest.raises(UserError, match=f"are to be fetched, and .* has room for .*{ELSEWHERE}"):
        fetch_file(file, COMMAND)
    assert not file.place().exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_takes_nothing_is_told(file, monkeypatch, code):
    def full(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(downloads.os, "fsync", full)
    says = f"checkpoints cannot be written: {os.strerror(code)}; {ELSEWHERE}"
    with pytest.raises(UserError, match=says):
        fetch_file(file, COMMAND)


@pytest.mark.parametrize(
    ("url", "sha256"),
    [
        ("https://host/", DIGEST),
        ("ftp://host/net.pth", DIGEST),
        ("file:///etc/passwd", DIGEST),
        ("https://host/net.pth", ""),
        ("https://host/net.pth", "c9d0"),
        ("https://host/net.pth", "not hexadecimal"),
    ],
)
def test_an_address_without_a_file_or_a_hash_is_refused(url, sha256):
    with pytest.raises(UserError, match=r"is no address of a file|nothing says what the content"):
        UrlFile(url, sha256)


def test_an_address_that_leads_away_from_encryption_is_refused(file, server, monkeypatch):
    class Answer:
        url, status = "http://127.0.0.1/net.pth", 200

        def close(self):
            pass

    monkeypatch.setattr(url_file, "urlopen", lambda request, timeout: Answer())
    with pytest.raises(UserError, match=r"cannot be reached \(it leads to http://.*not encrypted"):
        fetch_file(UrlFile("https://127.0.0.1/net.pth", DIGEST), COMMAND)


REWARD = """
    from tdmr1.rewards import Reward, Weights, hookimpl

    class Mine(Reward):
        name = "mine"
        when = ("eyes=small", "eyes=l*")
        weights = (Weights("my net.pth", "MIT", 1, ADDRESS, "net", (), DIGEST[:8], when),)

        def __init__(self, net="my net.pth", eyes="none"):
            raise RuntimeError("it was made")

        def score(self, samples):
            return [0.0] * len(samples)

    @hookimpl
    def register_rewards(register):
        register("mine", Mine)
"""


def test_the_command_fetches_it_where_options_ask_for_it(
    file, install, tdmr1, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    code = f"    ADDRESS, DIGEST = {file.url!r}, {DIGEST!r}\n{REWARD}"
    install("tdmr1-reward-mine", ["mine"], code=code)
    assert tdmr1("rewards", "fetch", "mine")[1] == "mine: nothing to fetch\n"
    for eyes in ("small", "large"):
        _, out, _ = tdmr1("rewards", "fetch", "mine", "--option", f"eyes={eyes}", "--to", "a disk")
        told = f"mine --option eyes={eyes} --from 'a disk', or use it where it lies: TORCH_HOME=F"
        assert out.startswith("mine: my net.pth: 1 file, 0 MB, whole\n") and told in out
    arguments = ("--option", "eyes=small", "--option", "net=other.pth")
    status, _, err = tdmr1("rewards", "fetch", "mine", *arguments)
    assert status == 1 and "there is no file other.pth; what can be fetched is my net.pth" in err
    _, out, _ = tdmr1("rewards", "info", "mine")
    assert f"from {file.url}, with eyes=small or eyes=l*" in " ".join(out.split())


def test_ctrl_c_says_that_the_command_goes_on(file, install, tdmr1, monkeypatch):
    code = f"    ADDRESS, DIGEST = {file.url!r}, {DIGEST!r}\n{REWARD}"
    install("tdmr1-reward-mine", ["mine"], code=code)

    def pressed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(url_file.shutil, "copyfileobj", pressed)
    status, _, err = tdmr1("rewards", "fetch", "mine", "--option", "eyes=small")
    assert status == 130 and "stopped; the same command goes on from here" in err
    assert [path.name for path in file.place().parent.iterdir()] == [".my net.pth.part"]
