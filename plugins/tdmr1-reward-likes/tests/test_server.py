"""The command, in a process of its own."""

import contextlib
import http.client
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from tdmr1.cli import main
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
            lines = [process.stdout.readline() for _ in range(3)]
            return process, "".join(lines)

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


def get(port, path, **headers):
    deadline = time.monotonic() + 30
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status
        except ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        finally:
            connection.close()


def test_it_serves_and_a_second_one_is_told_where(start):
    first, said = start("--port", "0")
    port = int(re.search(r"voting: http://127\.0\.0\.1:(\d+)\n", said)[1])
    assert get(port, "/") == 200
    second, said = start("--port", "0")
    assert said == ""
    _, error = second.communicate()
    assert second.returncode == 1
    assert re.match(
        rf"error: the queue .*q\.sqlite is in use by process {first.pid} on .*, "
        rf"at http://127\.0\.0\.1:{port}\nopen that one, or stop it first",
        error,
    )
    first.send_signal(signal.SIGTERM)
    _, error = first.communicate(timeout=30)
    assert error == ""


def test_on_another_address_the_link_holds_a_token_that_stays(start, tmp_path):
    links = []
    for _ in range(2):
        process, said = start("--host", "0.0.0.0", "--port", "0")
        found = re.search(r"voting: http://\S+:(\d+)/\?token=(\S{16,})\n", said)
        port, token = int(found[1]), found[2]
        assert get(port, "/") == 401
        assert get(port, f"/?token={token}") == 200
        links.append(token)
        process.kill()
        process.wait()
    assert links[0] == links[1]


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
