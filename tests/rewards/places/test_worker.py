import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest

from tdmr1.rewards import Sample, Score
from tdmr1.rewards.errors import (
    RewardBroken,
    RewardFailed,
    RewardLost,
    RewardNotFound,
    RewardOptionInvalid,
    RewardRefused,
)
from tdmr1.rewards.places import worker
from tdmr1.rewards.places.base import RewardInfo
from tdmr1.rewards.places.wire import encode
from tdmr1.rewards.places.worker import Worker

ECHO = """
    import os, sys
    from tdmr1.rewards import Score

    def score(samples):
        '''The number that the image shows, and that of the prompt and the metadata.'''
        return [
            None if s.prompt == "" else
            Score(int(s.image[0, 0, 0]) + 256 * int(s.image[0, 0, 1]), f"{s.prompt} {s.metadata}")
            for s in samples
        ]

    def process(samples):
        return [os.getpid()] * len(samples)

    def constant(samples, value=0.0, scale=1):
        return [value * scale] * len(samples)
"""


@pytest.fixture
def open_worker(closing):
    return lambda name, **options: closing(Worker(name, **options))


def expected(samples):
    return [Score(s.metadata["number"], f"{s.prompt} {s.metadata}") for s in samples]


def once(action, otherwise="return [0.5] * len(samples)"):
    """A reward that does something the first time it is called, in whichever process."""
    return f"""
        import os, stat, time
        from pathlib import Path

        def nonsense():
            for fd in map(int, os.listdir("/dev/fd")):
                try:
                    if stat.S_ISSOCK(os.fstat(fd).st_mode):
                        os.write(fd, b"<html>" * 10)
                except OSError:
                    pass  # that which listed them

        def score(samples):
            with open("calls", "a") as calls:
                calls.write(f"{{len(samples)}} ")
            if not Path("first").exists():
                Path("first").touch()
                {action}
            {otherwise}
    """


def calls(tmp_path):
    return [int(call) for call in (tmp_path / "calls").read_text().split()]


def test_it_scores_like_in_this_process(my_file, open_worker, numbered):
    my_file(ECHO)
    place = open_worker("./my.py:score")
    assert replace(place.info, source="") == RewardInfo("./my.py:score", (-np.inf, np.inf))
    for samples in (numbered(9), numbered(700, 300), numbered(2), []):
        assert place.score(samples) == expected(samples)
    assert place.score([Sample(np.zeros((1, 1, 3), np.uint8), "")]) == [None]


def test_it_is_another_process_and_stays_the_same(my_file, open_worker, numbered):
    my_file(ECHO)
    place = open_worker("./my.py:process")
    ids = {score.value for _ in range(3) for score in place.score(numbered(2))}
    assert len(ids) == 1
    assert ids != {os.getpid()}


def test_an_installed_reward_says_what_it_is(install, open_worker, numbered):
    install(
        "tdmr1-reward-loud",
        ["loud"],
        """
        from tdmr1.rewards import Reward, hookimpl

        class Loud(Reward):
            name = "something else"
            summary = "For tests."
            range = (0, 5)
            repeatable = False

            def score(self, samples):
                return [3] * len(samples)

        @hookimpl
        def register_rewards(register):
            register("loud", Loud)
        """,
    )
    place = open_worker("loud")
    info = RewardInfo("loud", (0.0, 5.0), repeatable=False, version="1.2")
    assert replace(place.info, source="") == info
    assert place.score(numbered(2)) == [Score(3.0), Score(3.0)]


def test_options_reach_the_reward(my_file, open_worker, numbered):
    my_file(ECHO)
    place = open_worker("./my.py:constant", options={"value": 0.5, "scale": 3})
    assert place.score(numbered(1)) == [Score(1.5)]
    assert place.info.options == {"value": 0.5, "scale": 3}
    with pytest.raises(RewardOptionInvalid, match="no option 'worth'; its options"):
        Worker("./my.py:constant", options={"worth": 3})


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("nothing", RewardNotFound, "pip install tdmr1-reward-nothing"),
        ("./my.py:scor", RewardNotFound, "its functions are: score"),
        ("./my.py:BROKEN", RewardBroken, "ZeroDivisionError: division by zero"),
    ],
)
def test_a_reward_that_cannot_be_loaded_says_why(my_file, name, error, says):
    my_file(
        """
        from tdmr1.rewards import Reward

        class BROKEN(Reward):
            def __init__(self): 1 / 0
            def score(self, samples): pass

        def score(samples): pass
        """
    )
    with pytest.raises(error) as caught:
        Worker(name)
    assert says in str(caught.value)


def test_a_process_that_ends_before_the_reward_is_loaded_says_its_last_words(my_file):
    my_file("import os; os.write(1, b'no licence\\n'); os._exit(3)")
    with pytest.raises(RewardLost) as caught:
        Worker("./my.py:score")
    assert str(caught.value) == (
        "the process of reward './my.py:score' ended with exit status 3 while it should load the "
        "reward\nits last lines of output:\n    no licence"
    )


def test_a_process_that_cannot_be_started():
    with pytest.raises(RewardBroken, match=r"cannot be started: .*no/such/python"):
        Worker("ocr", python=["/no/such/python"])


def test_a_reward_that_raises_goes_on(my_file, open_worker, numbered, tmp_path):
    my_file(once("raise KeyError('the lexicon')", "return [os.getpid()] * len(samples)"))
    place = open_worker("./my.py:score")
    with pytest.raises(RewardFailed, match="failed on 2 samples: KeyError: 'the lexicon'"):
        place.score(numbered(2))
    before = place.score(numbered(1))
    assert place.score(numbered(1)) == before
    assert calls(tmp_path) == [2, 1, 1]


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ("os.kill(os.getpid(), 9)", "was ended by SIGKILL (is there too little memory?)"),
        ("os._exit(0)", "ended with exit status 0"),
        ("import ctypes; ctypes.string_at(0)", "was ended by SIGSEGV"),
        ("time.sleep(1000)", "did not score 3 samples within 2 s"),
        ("nonsense()", "answered nonsense: begins with b'<htm' instead of b'TDMR'"),
        ("return [0, float('nan'), 1]", "answered nonsense: reward './my.py:score' returned nan"),
        ("return [0.5]", "returned 1 scores for 3 samples"),
        ("return 'abc'", "returned a str instead of a list"),
    ],
)
def test_a_lost_process_is_started_again_and_its_batch_scored_once_more(
    my_file, open_worker, numbered, tmp_path, caplog, action, says
):
    my_file(once(action))
    place = open_worker("./my.py:score", timeout=2.0 if "sleep" in action else 60.0)
    assert place.score(numbered(3)) == [Score(0.5)] * 3
    assert calls(tmp_path) == [3, 3]
    (record,) = caplog.records
    assert says in record.message
    assert record.message.endswith("it is started again, and scores the same samples again")


def test_a_batch_is_scored_no_third_time(my_file, open_worker, numbered, tmp_path):
    my_file(once("pass", "print('last words'); os._exit(4)"))
    place = open_worker("./my.py:score")
    with pytest.raises(RewardLost) as caught:
        place.score(numbered(3))
    assert str(caught.value).endswith(
        "ended with exit status 4 while it should score 3 samples\n"
        "its last lines of output:\n    last words"
    )
    assert calls(tmp_path) == [3, 3]
    with pytest.raises(RewardLost):
        place.score(numbered(1))
    assert calls(tmp_path) == [3, 3, 1, 1]


def test_what_a_reward_writes_does_not_reach_the_wire(my_file, open_worker, numbered, capfd):
    my_file(
        """
        import os, subprocess, sys

        print("at import", flush=True)

        def score(samples):
            print("printed")
            os.write(1, b"from C\\n")
            sys.__stdout__.write("by another name\\n")
            subprocess.run(["sh", "-c", "echo from a program; cat"], check=True)
            sys.stdin.read()
            return [0.5] * len(samples)
        """
    )
    place = open_worker("./my.py:score")
    for _ in range(2):
        assert place.score(numbered(2)) == [Score(0.5)] * 2
    place.close()
    out, err = capfd.readouterr()
    assert out == ""
    for text in ("at import", "printed", "from C", "by another name", "from a program"):
        assert f"{text}\n" in err


def test_images_that_a_reward_keeps_do_not_change(my_file, open_worker, numbered):
    my_file(
        """
        kept = []

        def score(samples):
            kept.extend(sample.image for sample in samples)
            return [sum(int(image[0, 0, 0]) for image in kept)] * len(samples)
        """
    )
    place = open_worker("./my.py:score")
    sums = [place.score(numbered(1, start=i))[0].value for i in range(5)]
    assert sums == [0, 1, 3, 6, 10]


def test_images_are_read_only(my_file, open_worker, numbered):
    my_file("def score(samples): samples[0].image[:] = 0")
    with pytest.raises(RewardFailed, match="read-only"):
        open_worker("./my.py:score").score(numbered(1))


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        (Sample(np.zeros((2, 2, 3)), "x"), "sample 0: an image of float64 is not taken"),
        (Sample(np.zeros((2, 2, 3), np.uint8), "x", {"box": np.zeros(4)}), "ndarray"),
    ],
)
def test_what_cannot_be_sent_is_refused_and_harms_nobody(my_file, open_worker, sample, says):
    my_file(ECHO)
    place = open_worker("./my.py:process")
    before = place.score([Sample(np.zeros((1, 1, 3), np.uint8), "")])
    with pytest.raises(RewardRefused) as caught:
        place.score([sample])
    assert says in str(caught.value)
    assert place.score([Sample(np.zeros((1, 1, 3), np.uint8), "")]) == before


def test_another_version_under_way_is_refused(my_file, open_worker, numbered):
    my_file(ECHO)
    place = open_worker("./my.py:process")
    first = int(place.score(numbered(1))[0].value)
    my_file(ECHO + "    # edited")
    os.kill(first, signal.SIGKILL)
    with pytest.raises(
        RewardRefused, match=r"files .* of reward '\./my\.py:process' have changed"
    ):
        for _ in range(100):
            place.score(numbered(1))


def test_a_child_that_says_nothing_in_time_is_lost(monkeypatch):
    monkeypatch.setattr(worker, "START_TIMEOUT", 0.2)
    says = (
        r"did not load the reward within 0\.2 s; for long downloads first: tdmr1 rewards check ocr"
    )
    with pytest.raises(RewardLost, match=says):
        Worker("ocr", python=["sh", "-c", "sleep 1000"])


def test_a_child_that_introduces_itself_with_nonsense_is_lost(tmp_path):
    (tmp_path / "frame").write_bytes(b"".join(encode({"hello": 1})))
    shell = ["sh", "-c", f"cat {tmp_path / 'frame'} >&0; sleep 1000"]
    with pytest.raises(RewardLost, match="it does not say which reward it is"):
        Worker("ocr", python=shell)


def test_closing_ends_the_process_and_what_it_started(my_file, numbered, wait_until_ended):
    my_file(
        """
        import os, subprocess

        started = subprocess.Popen(["sleep", "1000"])

        def score(samples):
            return [os.getpid(), started.pid]
        """
    )
    place = Worker("./my.py:score")
    ids = [int(score.value) for score in place.score(numbered(2))]
    place.close()
    wait_until_ended(ids)
    place.close()
    with pytest.raises(RewardRefused, match=r"'\./my\.py:score' is closed"):
        place.score(numbered(2))


def test_closing_ends_a_batch_under_way_and_starts_no_other(my_file, numbered, tmp_path):
    my_file(once("time.sleep(1000)"))
    place, errors = Worker("./my.py:score"), []

    def score():
        try:
            place.score(numbered(2))
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=score)
    thread.start()
    while not (tmp_path / "calls").exists():
        assert thread.is_alive()
        thread.join(0.01)
    place.close()
    thread.join(60)
    assert isinstance(errors[0], RewardRefused)
    assert calls(tmp_path) == [2]
