import socket
import threading

import numpy as np
import pytest

from tdmr1.rewards import Sample, Score
from tdmr1.rewards.errors import RewardFailed, RewardLost, RewardRefused
from tdmr1.rewards.places import connection, waiting
from tdmr1.rewards.places.base import START_TIMEOUT
from tdmr1.rewards.places.http import Http


@pytest.fixture
def reach(closing):
    """A place on servers, or on addresses."""

    def reach(*servers, **options):
        addresses = [getattr(server, "address", server) for server in servers]
        return closing(Http("stub", addresses, **{"timeout": 30.0, **options}))

    return reach


@pytest.fixture
def unused():
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def answer():
    """An address that answers every request with these bytes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(said):
        def serve():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.recv(10_000)
                    client.sendall(said)

        threading.Thread(target=serve, daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield answer
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def expected(samples):
    return [Score(float(s.metadata["number"]), s.prompt) for s in samples]


def failing(times, error):
    """Scores with an error some times, then all with 0.5."""
    left = [error] * times

    def score(samples):
        if left:
            raise left.pop()
        return [Score(0.5)] * len(samples)

    return score


def test_it_scores_like_in_this_process(serve, reach, numbered):
    server = serve()
    place = reach(server)
    assert place.info == server.worker.info
    for n in (5, 300, 0, 1):
        assert place.score(numbered(n, start=n)) == expected(numbered(n, start=n))
    assert server.worker.asked == [(5, 30.0), (300, 30.0), (0, 30.0), (1, 30.0)]


def test_servers_share_a_batch_side_by_side_and_in_order(serve, reach, numbered):
    meeting, stub = threading.Barrier(3), serve().worker.score

    def score(samples):
        meeting.wait(60)
        return stub(samples)

    servers = [serve(score) for _ in range(3)]
    place = reach(*servers)
    assert place.score(numbered(100)) == expected(numbered(100))
    assert [server.worker.asked for server in servers] == [[(33, 30)], [(33, 30)], [(34, 30)]]


def test_fewer_samples_than_servers(serve, reach, numbered):
    place = reach(serve(), serve(), serve())
    assert place.score(numbered(2)) == expected(numbered(2))


def test_an_error_of_the_reward_is_not_tried_again(serve, reach, numbered):
    server = serve(failing(1, RewardFailed("no such word")))
    place = reach(server)
    with pytest.raises(RewardFailed, match="no such word"):
        place.score(numbered(2))
    assert place.score(numbered(2)) == [Score(0.5)] * 2
    assert len(server.worker.asked) == 2


def test_a_server_that_lost_its_worker_scores_once_more(serve, reach, numbered, caplog):
    server = serve(failing(1, RewardLost("the process was ended by SIGKILL")))
    place = reach(server)
    assert place.score(numbered(2)) == [Score(0.5)] * 2
    assert f"http://{server.address}: the process was ended by SIGKILL" in caplog.text
    server.worker.score = failing(2, RewardLost("the process was ended\nlast words"))
    with pytest.raises(RewardLost, match="last words"):
        place.score(numbered(2))
    assert len(server.worker.asked) == 4


def test_a_server_that_starts_its_worker_again_is_waited_for(serve, reach, numbered, monkeypatch):
    server, patiences = serve(failing(1, RewardLost("it ended"))), []
    score = server.score
    monkeypatch.setattr(server, "score", lambda *a: patiences.append(a[-1]) or score(*a))
    reach(server).score(numbered(1))
    assert patiences == [30.0, START_TIMEOUT]


def test_another_server_takes_over_and_the_first_one_rests(
    serve, reach, numbered, caplog, monkeypatch
):
    servers = [serve(), serve()]
    place = reach(*servers)
    assert place.score(numbered(10)) == expected(numbered(10))
    servers[0].worker.score = failing(9, RewardLost("it ended"))
    assert place.score(numbered(10)) == expected(numbered(10))
    assert f"http://{servers[1].address} scores the same samples again" in caplog.text
    assert [len(server.worker.asked) for server in servers] == [2, 3]
    assert place.score(numbered(10)) == expected(numbered(10))
    assert [len(server.worker.asked) for server in servers] == [2, 4]
    later = connection.time.monotonic() + connection.REST
    monkeypatch.setattr(connection.time, "monotonic", lambda: later)
    servers[0].worker.score = servers[1].worker.score
    assert place.score(numbered(10)) == expected(numbered(10))
    assert [len(server.worker.asked) for server in servers] == [3, 5]


def test_a_server_that_is_stopped_and_one_that_comes_back(serve, reach, numbered):
    server = serve()
    place = reach(server)
    port = server.server_address[1]
    server.shutdown()
    server.server_close()
    place._servers[0]._connection.sock.shutdown(socket.SHUT_RDWR)
    with pytest.raises(RewardLost, match=r"cannot be reached: .*refused; is `tdmr1 rewards serve"):
        place.score(numbered(3))
    serve(port=port)
    assert place.score(numbered(3)) == expected(numbered(3))


@pytest.fixture
def gone(reach):
    """A place whose only server has just been stopped."""

    def gone(server, **options):
        place = reach(server, **options)
        server.shutdown()
        server.server_close()
        place._servers[0]._connection.sock.shutdown(socket.SHUT_RDWR)
        return place

    return gone


@pytest.fixture
def returning(serve, monkeypatch):
    """Start a server at an address when it has been waited for three times."""

    def returning(server, **options):
        pauses = []

        def sleep(seconds):
            pauses.append(seconds)
            if len(pauses) == 3:
                serve(port=server.server_address[1], **options)

        monkeypatch.setattr(waiting.time, "sleep", sleep)

    return returning


def test_a_server_that_is_started_again_is_waited_for(serve, gone, returning, numbered, caplog):
    server = serve()
    place = gone(server, wait=600.0)
    returning(server)
    assert place.score(numbered(3)) == expected(numbered(3))
    assert "refused; is `tdmr1 rewards serve" in caplog.text
    assert "waiting for it, for up to 10:00" in caplog.text


@pytest.mark.parametrize("other", [{"source": "cd"}, {"options": {"side": 9}}])
def test_one_that_comes_back_as_another_is_refused(serve, gone, returning, numbered, other):
    server = serve()
    place = gone(server, wait=600.0)
    returning(server, **other)
    with pytest.raises(RewardRefused, match="has other code, files, packages or options here"):
        place.score(numbered(3))


def test_one_that_is_not_there_yet_is_waited_for(serve, reach, returning, numbered):
    server = serve()
    server.shutdown()
    server.server_close()
    returning(server)
    assert reach(server, wait=600.0).score(numbered(3)) == expected(numbered(3))


def test_one_that_does_not_come_back_stops_the_run(serve, gone, numbered, monkeypatch):
    monkeypatch.setattr(waiting, "PAUSE", 0.01)
    place = gone(serve(), wait=0.1)
    with pytest.raises(RewardLost, match=r"cannot be reached: .*refused"):
        place.score(numbered(3))


def test_closing_ends_the_wait_for_a_server(serve, gone, numbered, monkeypatch):
    place = gone(serve(), wait=600.0)
    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: place.close())
    with pytest.raises(RewardRefused, match="is closed"):
        place.score(numbered(3))


def test_a_connection_that_lay_idle_too_long_is_made_again(serve, reach, numbered):
    server = serve()
    place = reach(server)
    place._servers[0]._connection.sock.shutdown(socket.SHUT_RDWR)
    assert place.score(numbered(3)) == expected(numbered(3))
    assert len(server.worker.asked) == 1


def test_a_server_that_does_not_answer_in_time(serve, reach, numbered, caplog, monkeypatch):
    release = threading.Event()
    server = serve(lambda samples: release.wait(60) and [None] * len(samples))
    monkeypatch.setattr(connection, "_MARGIN", 0.1)
    place = reach(server, timeout=0.2)
    with pytest.raises(RewardLost):
        place.score(numbered(1))
    assert f"at http://{server.address} did not answer within 0.5 s" in caplog.text
    release.set()


def test_nobody_there(reach, unused):
    with pytest.raises(RewardLost, match=rf"at http://{unused} cannot be reached: .*refused"):
        reach(unused)
    with pytest.raises(RewardLost, match="is `tdmr1 rewards serve stub` running there"):
        reach("no.such.host.invalid:80")


def test_a_wrong_token(serve, reach, numbered, monkeypatch):
    server = serve(token="a secret")
    for token in (None, "another"):
        with pytest.raises(RewardRefused, match="set TDMR1_TOKEN to that of the server"):
            reach(server, token=token)
    with pytest.raises(RewardRefused, match="not made of ASCII"):
        reach(server, token="a\nsecret")
    monkeypatch.setenv("TDMR1_TOKEN", "a secret")
    assert reach(server).score(numbered(2)) == expected(numbered(2))


def test_servers_of_another_reward_or_of_different_versions(serve, reach):
    with pytest.raises(RewardRefused, match="asked for reward 'stub', and found reward 'other'"):
        reach(serve(name="other"))
    with pytest.raises(RewardRefused, match="contract 99, and here is contract"):
        reach(serve(contract=99))
    with pytest.raises(RewardRefused, match=r"differ: http://.*version='1\.2'.*version='2'"):
        reach(serve(), serve(version="2"))


def test_options_are_the_server_s(serve, reach):
    server = serve(options={"side": 200})
    assert reach(server).info.options == {"side": 200}
    assert reach(server, options={"side": 200}).info.options == {"side": 200}
    with pytest.raises(RewardRefused, match=r"the run asks for {'side': 96}; start the server"):
        reach(server, options={"side": 96})


@pytest.mark.parametrize(
    ("said", "error", "says"),
    [
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno",
            RewardRefused,
            "is no server of a reward: it answers 404 Not Found",
        ),
        (
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
            RewardLost,
            "it answers 502 Bad Gateway",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", RewardLost, "cannot be reached: SSH-2.0"),
        (b"", RewardLost, "cannot be reached: "),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-tdmr1-frame\r\n"
            b"Content-Length: 4\r\n\r\nTDMR",
            RewardLost,
            "answered nonsense: cut short after 4 bytes",
        ),
    ],
)
def test_something_else_there(reach, answer, said, error, says):
    with pytest.raises(error) as caught:
        reach(answer(said))
    assert says in str(caught.value)


def test_what_cannot_be_sent_is_refused(serve, reach):
    place = reach(serve())
    with pytest.raises(RewardRefused, match="cannot be sent this: sample 0: an image of float64"):
        place.score([Sample(np.zeros((2, 2, 3)), "x")])


def test_closing_ends_a_wait(serve, reach, numbered):
    release, entered, errors = threading.Event(), threading.Event(), []

    def score(samples):
        entered.set()
        release.wait(60)
        return [None] * len(samples)

    def go():
        try:
            place.score(numbered(1))
        except RewardRefused as error:
            errors.append(error)

    place = reach(serve(score))
    thread = threading.Thread(target=go)
    thread.start()
    entered.wait(60)
    place.close()
    thread.join(20)
    assert "is closed" in str(errors[0])
    with pytest.raises(RewardRefused, match="is closed"):
        place.score(numbered(1))
    release.set()
