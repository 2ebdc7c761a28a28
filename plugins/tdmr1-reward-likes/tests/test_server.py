"""The command, in a process of its own."""

import contextlib
import http.client
import itertools
import platform
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from tdmr1.cli import main
from tdmr1_reward_likes.server import own_address
from tdmr1_reward_likes.store import Store


@pytest.fixture
def start(tmp_path):
    """Start `tdmr1 likes serve`; gives the process and the lines that it says first."""
    with contextlib.ExitStack() as stack:

        def start(*arguments):
            command = [sys.executable, "-c", "from tdmr1.cli import main; main()"]
            command += ["likes", "serve", "--queue", str(tmp_path / "q.sqlite"), *arguments]
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            lines = iter(process.stdout.readline, "")
            said = [*itertools.takewhile(lambda line: not line.startswith("queue: "), lines)]
            return process, "".join(said)

        yield start


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Run the command in this process, which it is to refuse; gives what it says."""
    monkeypatch.setenv("TDMR1_DEBUG", "")
    monkeypatch.setenv("COLUMNS", "120")

    def refused(*arguments):
        command = ["tdmr1", "likes", "serve", "--port", "0", "--queue", str(tmp_path / "q.sqlite")]
        monkeypatch.setattr(sys, "argv", [*command, *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code in (1, 2)
        return capsys.readouterr().err

    return refused


def get(port, path, host="127.0.0.1"):
    deadline = time.monotonic() + 30
    while True:
        connection = http.client.HTTPConnection(host, port, timeout=30)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        finally:
            connection.close()


def test_it_serves_and_a_second_one_is_told_where(start, refused, tmp_path):
    first, said = start("--host", "0.0.0.0", "--port", "0")
    link = re.search(r"voting: (http://\S+:(\d+))/\?token=(\S+)\n", said)
    address, port, token = link[1], int(link[2]), link[3]
    assert get(port, "/") == 401
    assert get(port, f"/?token={token}") == 200
    if (number := own_address()) is not None:  # a phone knows no names of machines
        assert f": http://{number}:{port}/?token={token}\n" in said
        assert get(port, f"/?token={token}", number) == 200
    assert refused() == (
        f"error: the queue {tmp_path}/q.sqlite is in use by process {first.pid} on "
        f"{platform.node()}, at {address}\n"
        "open that one, or stop it first; or name another file with --queue\n"
    )
    (tmp_path / "link.sqlite").symlink_to("q.sqlite")
    assert f"link.sqlite is in use by process {first.pid} on" in refused(
        "--queue", str(tmp_path / "link.sqlite")
    )
    first.send_signal(signal.SIGTERM)
    assert first.communicate(timeout=30)[1] == ""
    store = Store(tmp_path / "q.sqlite")
    assert store.setting("token", "another") == token  # links stay good
    store.close()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--host", "no.such.host.invalid"), "cannot listen on no.such.host.invalid"),
        (("--token", "short"), "a token has 16 letters"),
        (("--shared", "nan"), "Invalid value for '--shared'"),
        (("--lease", "inf"), "Invalid value for '--lease'"),
    ],
)
def test_what_cannot_be_is_told(refused, arguments, error):
    assert error in refused(*arguments)


def test_a_taken_port_is_told(refused):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = refused("--port", str(port))
    assert f"cannot listen on 127.0.0.1:{port}" in error and "choose another" in error


def test_a_queue_of_a_newer_version_is_told(refused, tmp_path):
    store = Store(tmp_path / "q.sqlite")
    with store.database.reading() as connection:
        connection.execute("PRAGMA user_version = 99")
    store.close()
    assert "newer tdmr1-reward-likes" in refused()
