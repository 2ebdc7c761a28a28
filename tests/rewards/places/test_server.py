import http.client
import logging
import os
import random
import socket
import threading
import time
import tracemalloc

import numpy as np
import pytest

from tdmr1.rewards import Sample, Score
from tdmr1.rewards.errors import RewardFailed, RewardLost, RewardRefused
from tdmr1.rewards.places.messages import CONTENT_TYPE, read_info, read_scores, score_request
from tdmr1.rewards.places.server import RewardServer
from tdmr1.rewards.places.wire import encode, pixel_chunks, read_frame
from tdmr1.rewards.places.worker import Worker


@pytest.fixture
def connect(closing):
    return lambda server: closing(http.client.HTTPConnection(server.address, timeout=60))


def ask(connection, frame, token=None, **headers):
    """POST a frame; gives (status, header of the answer)."""
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    connection.request("POST", "/", frame, {"Content-Type": CONTENT_TYPE, **headers})
    response = connection.getresponse()
    assert response.headers["Content-Type"] == CONTENT_TYPE
    return response.status, read_frame(response.read())[0]


def request(images=(), **change):
    header = {"reward": "stub", "seconds": 60, "patience": 60, **score_request(images), **change}
    return b"".join(encode(header, pixel_chunks(images)))


INFO = b"".join(encode({"op": "info"}))


def test_it_says_which_reward_it_has(serve, connect):
    server = serve(version="3")
    status, header = ask(connect(server), INFO)
    assert status == 200
    assert read_info(header, "stub") == server.worker.info


@pytest.mark.parametrize("other", [{"source": "cd"}, {"options": {"side": 9}}])
def test_another_source_than_the_one_asked_for_is_refused(serve, connect, numbered, other):
    server = serve(source="ab", options={"side": 8})
    connection = connect(server)
    meant = {"source": "ab", "options": {"side": 8}}
    assert ask(connection, request(numbered(1), **meant))[0] == 200
    status, header = ask(connection, request(numbered(1), **{**meant, **other}))
    assert status == 409
    assert "other code, files, packages or options here than" in header["error"]["text"]


def test_it_scores_again_and_again_over_one_connection(serve, connect, numbered):
    server = serve()
    connection = connect(server)
    for n in (3, 50, 0, 1):
        samples = numbered(n, start=n)
        status, header = ask(connection, request(samples, seconds=7))
        assert status == 200
        scores = read_scores(header, samples, server.worker.info)
        assert scores == [Score(float(s.metadata["number"]), s.prompt) for s in samples]
    assert server.worker.asked == [(3, 7.0), (50, 7.0), (0, 7.0), (1, 7.0)]


@pytest.mark.parametrize("error", [RewardFailed, RewardLost])
def test_an_error_of_the_reward_is_an_answer(serve, connect, numbered, error):
    def fail(samples):
        raise error("reward 'stub' did not like it")

    connection = connect(serve(fail))
    for _ in range(2):
        status, header = ask(connection, request(numbered(1)))
        assert status == 200
        text = "reward 'stub' did not like it"
        assert header == {"error": {"kind": error.__name__, "text": text}}


SAMPLE = Sample(np.zeros((2, 3, 3), np.uint8), "a cat")


@pytest.mark.parametrize(
    ("frame", "status", "says"),
    [
        (b"", 400, "the request is empty"),
        (b"GET / HTTP/1.1", 400, "cut short after 14 bytes"),
        (b"\0" * 100, 400, "instead of b'TDMR'"),
        (INFO + b"more", 400, "announces a body of 0 bytes, 4 follow"),
        (request([SAMPLE])[:-1], 400, "announces a body of 18 bytes, 17 follow"),
        (request([SAMPLE])[:40], 400, "cut short"),
        (b"".join(encode({"op": "load"})), 400, "its `op` is neither info, judge nor score"),
        (b"".join(encode({"op": ["score"]})), 400, "its `op` is neither info, judge nor"),
        (request(reward="other"), 404, "this server has reward 'stub', and not the one asked for"),
        (request(seconds=-1.0), 400, "`seconds` is not between 0 and 86400 seconds"),
        (request(seconds=10**400), 400, "is too large a number"),
        (request(patience="long"), 400, "`patience` is not a number"),
        (request([SAMPLE], samples=[]), 400, "the body has 18 bytes, the samples take 0"),
        (request([SAMPLE], samples=[{"prompt": "a cat"}]), 400, "the metadata is not an object"),
    ],
)
def test_what_it_does_not_understand_it_refuses_with_a_reason(serve, connect, frame, status, says):
    connection = connect(serve())
    answer = ask(connection, frame)
    assert answer[0] == status
    assert answer[1]["error"]["kind"] == "RewardRefused"
    assert says in answer[1]["error"]["text"]
    assert ask(connection, INFO)[0] == 200


@pytest.mark.parametrize(
    ("headers", "status", "says"),
    [
        ({"Origin": "http://example.org"}, 403, "web pages are not answered"),
        ({"Content-Type": "text/plain"}, 415, "the content type is not application/x-tdmr1-frame"),
        ({"Content-Length": "many"}, 411, "the length of the request is not said"),
        ({"Content-Length": "-1"}, 411, "the length"),
        ({"Content-Length": "9" * 5000}, 411, "the length"),
        ({"Content-Length": "9000000000"}, 413, "a request of 9000000000 bytes is too long"),
        ({"Content-Length": "", "Transfer-Encoding": "chunked"}, 411, "the length"),
    ],
)
def test_what_http_announces_is_looked_at_before_the_frame(serve, connect, headers, status, says):
    server = serve()
    answer = ask(connect(server), INFO, **headers)
    assert answer[0] == status
    assert says in answer[1]["error"]["text"]
    assert ask(connect(server), INFO)[0] == 200


def test_without_the_token_nothing_is_looked_at(serve, connect, numbered):
    server = serve(token="a secret")
    for token in (None, "another", "a secret ", ""):
        status, header = ask(connect(server), request(numbered(2)), token)
        assert status == 401
        assert "set TDMR1_TOKEN to that of the server" in header["error"]["text"]
    status, header = ask(connect(server), b"nonsense")
    assert status == 401
    assert server.worker.asked == []
    assert ask(connect(server), request(numbered(2)), "a secret")[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_where_others_can_reach_it_it_wants_a_token(host):
    with pytest.raises(RewardRefused, match=r"other machines can reach .*TDMR1_TOKEN=\$\(openssl"):
        RewardServer(host, 0)


@pytest.mark.parametrize("token", ["geheim\u00fc", "two\nlines", " around "])
def test_a_token_that_nobody_could_show_is_refused(token):
    with pytest.raises(RewardRefused, match="not made of ASCII characters alone"):
        RewardServer("127.0.0.1", 0, token)


def test_an_address_that_is_taken_or_not_ours(serve):
    port = serve().server_address[1]
    with pytest.raises(RewardRefused, match=rf"cannot listen on 127\.0\.0\.1:{port}"):
        serve(port=port)
    with pytest.raises(RewardRefused, match=r"cannot listen on no\.such\.host\.invalid:80"):
        RewardServer("no.such.host.invalid", 80, "a token")


def test_one_batch_at_a_time(serve, connect, numbered):
    inside, meeting, crowds = [], threading.Event(), []

    def score(samples):
        inside.append(1)
        crowds.append(len(inside))
        meeting.wait(0.02)
        inside.pop()
        return [0.5] * len(samples)

    server = serve(lambda samples: [Score(s) for s in score(samples)])
    threads = [
        threading.Thread(target=ask, args=(connect(server), request(numbered(1))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert crowds == [1] * 8


def test_whose_turn_does_not_come_is_told_so(serve, connect, numbered):
    release, entered = threading.Event(), threading.Event()

    def score(samples):
        entered.set()
        release.wait(60)
        return [None] * len(samples)

    server = serve(score)
    first = threading.Thread(target=ask, args=(connect(server), request(numbered(1))))
    first.start()
    entered.wait(60)
    status, header = ask(connect(server), request(numbered(1), patience=0.05))
    release.set()
    first.join(60)
    assert status == 200
    assert header["error"]["kind"] == "RewardLost"
    assert header["error"]["text"] == "reward 'stub' was at work for others for 0.05 s"


def test_a_client_that_leaves_in_the_middle_harms_nobody(serve, connect, numbered, caplog):
    caplog.set_level(logging.INFO)
    server = serve()
    host, port = server.server_address
    head = f"POST / HTTP/1.1\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {10**6}\r\n\r\n"
    for said in (b"", b"POST", head.encode(), head.encode() + request([SAMPLE])):
        with socket.create_connection((host, port)) as client:
            client.sendall(said)
    assert ask(connect(server), request(numbered(1)))[0] == 200
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]


def mutated(frame, chance):
    """A valid frame with some bytes changed, inserted, removed, or its end cut off."""
    frame = bytearray(frame)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(frame))
        how = chance.randrange(4)
        if how == 0:
            frame[at] = chance.randrange(256)
        elif how == 1:
            frame[at:at] = chance.randbytes(chance.randint(1, 9))
        elif how == 2:
            del frame[at : at + chance.randint(1, 9)]
        else:
            del frame[at + 1 :]
    return bytes(frame)


def test_random_and_mutated_frames_are_refused_or_answered(serve, connect, numbered):
    chance, valid = random.Random(0), request(numbered(4))
    server = serve()
    connection, statuses = connect(server), {200: 0, 400: 0, 404: 0}

    def send(frame):
        status, header = ask(connection, frame)
        statuses[status] += 1
        assert (
            ("scores" in header or "info" in header) if status == 200 else header["error"]["text"]
        )

    logging.disable(logging.WARNING)  # pytest keeps what is logged
    send(valid)
    tracemalloc.start()
    try:
        for i in range(1_000):
            send(chance.randbytes(chance.randint(0, 400)))
            send(mutated(valid, chance))
            if i == 100:
                before = tracemalloc.get_traced_memory()[0]
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        logging.disable(logging.NOTSET)
    assert grown < 200_000
    assert sum(statuses.values()) == 2_001
    assert statuses[400] >= 1_500
    assert statuses[200] >= 20  # where only a pixel, a letter or a number was changed
    send(valid)


def test_connections_that_end_leave_nothing_open(serve, connect):
    server, before = serve(), None
    for frame in (request([SAMPLE]), request([SAMPLE] * 9, samples=[]), b"nonsense") * 10:
        connection = connect(server)
        ask(connection, frame)
        connection.close()
        if before is None:
            before = settled()
    assert settled() <= before


def settled():
    """How many files this process has open, when no connection is being served any more."""
    while [thread for thread in threading.enumerate() if "process_request" in thread.name]:
        time.sleep(0.01)
    return len(os.listdir("/dev/fd"))


def test_it_shares_memory_with_a_worker(my_file, serve, connect, numbered, closing):
    my_file("""
        from tdmr1.rewards import Score

        def score(samples):
            return [Score(int(s.image[0, 0, 0]), s.prompt) for s in samples]
    """)
    server = serve(worker=closing(Worker("./my.py:score")))
    connection = connect(server)
    for n in (2, 200, 5):
        samples = numbered(n, start=3)
        _, header = ask(connection, request(samples, reward="./my.py:score"))
        scores = read_scores(header, samples, server.worker.info)
        assert scores == [Score(s.metadata["number"] % 256, s.prompt) for s in samples]
