"""Ends of processes at any moment: no sample is lost, none is paired wrongly, none is orphaned."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardLost
from tdmr1.rewards.mixing.mix import RewardMix

SLOW = """
    import os, time
    from pathlib import Path

    def log(name, line):
        with open(name, "a") as file:
            file.write(f"{line}\\n")

    def first(samples):
        log("first", os.getpid())
        time.sleep(0.05)
        return [s.metadata["number"] + int(s.image[0, 0, 0]) / 1000 for s in samples]

    def second(samples):
        log("second", os.getpid())
        return [-int(s.prompt.split()[1]) for s in samples]
"""


def last_line(path):
    lines = path.read_text().split() if path.exists() else []
    return len(lines), lines and int(lines[-1])


class Killer(threading.Thread):
    """Kills a worker with every third batch: as it begins one, or some time later."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.done, self.kills = path, threading.Event(), 0

    def run(self):
        seen = 0
        while not self.done.wait(0.001):
            calls, process = last_line(self.path)
            if calls >= seen + 3:
                time.sleep(0.03 * (self.kills % 3))
                seen = last_line(self.path)[0]
                self.kills += 1
                os.kill(process, signal.SIGKILL)


def test_killed_workers_lose_no_sample_and_pair_nothing_wrongly(my_file, tmp_path, numbered):
    my_file(SLOW)
    mix = RewardMix.open([RewardSpec.parse(f"./my.py:{n}@worker") for n in ("first", "second")])
    killers = [Killer(tmp_path / name) for name in ("first", "second")]
    for killer in killers:
        killer.start()
    batches = [numbered(3 + i % 4, start=10 * i) for i in range(16)]
    pending = [mix.submit(batch) for batch in batches[:4]]
    for i, batch in enumerate(batches):
        first, second = pending[i].result().values()
        numbers = [sample.metadata["number"] for sample in batch]
        assert first.values.tolist() == [n + n % 256 / 1000 for n in numbers]
        assert second.values.tolist() == [-n for n in numbers]
        if len(pending) < len(batches):
            pending.append(mix.submit(batches[len(pending)]))
    for killer in killers:
        killer.done.set()
        killer.join(60)
        assert killer.kills >= 2
    mix.close()
    assert [scorer.n_samples for scorer in mix.scorers.values()] == [sum(map(len, batches))] * 2
    assert [scorer.n_errors for scorer in mix.scorers.values()] == [0, 0]


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ("os._exit(3)", "ended with exit status 3 while it should score 10 samples"),
        (
            "return [float('nan')] * len(samples)",
            "answered nonsense: reward './my.py:score' return",
        ),
    ],
)
def test_past_the_budget_a_run_stops_with_the_worker_s_last_lines(
    my_file, numbered, action, says, closing
):
    my_file(f"""
        import os

        def score(samples):
            if samples[-1].prompt == "number 7":
                print("CUDA out of memory", flush=True)
                {action}
            return [0.5] * len(samples)
    """)
    specs = [RewardSpec.parse("./my.py:score@worker")]
    mix = closing(RewardMix.open(specs, max_error_fraction=0.5))
    assert mix.score(numbered(7))["./my.py:score"].scored.all()
    (outcomes,) = mix.score(numbered(2, start=6)).values()
    assert outcomes.errors.all()
    with pytest.raises(RewardLost) as caught:
        mix.score(numbered(5, start=3) * 2)
    text = str(caught.value)
    assert says in text
    assert "its last lines of output:\n    CUDA out of memory\n" in text
    assert text.endswith("12 of 19 samples so far failed, more than the 50.0% allowed")


HANGING = """
    import os, subprocess, time

    def score(samples):
        helper = subprocess.Popen(["sleep", "1000"])
        with open("new", "w") as file:
            file.write(f"{os.getpid()} {helper.pid}")
        os.rename("new", "processes")
        time.sleep({"hang": 1000, "slow": 3}.get(samples[0].prompt, 0))
        return [0.5] * len(samples)
"""

RUN = """
import sys
import numpy as np
from tdmr1.rewards import Sample
from tdmr1.rewards.errors import RewardLost
from tdmr1.rewards.mixing.mix import RewardMix
from tdmr1.rewards.discovery.spec import RewardSpec

mix = RewardMix.open([RewardSpec.parse("./my.py:score@worker")])
outcomes = mix.score([Sample(np.zeros((1, 1, 3), np.uint8), sys.argv[1])])
if sys.argv[1] == "leave":
    sys.exit()
print(mix.scorers, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("prompt", "how"),
    [
        ("hang", "Ctrl-C"),
        ("hang", "kill"),
        ("slow", "kill"),
        ("idle", "Ctrl-C"),
        ("idle", "kill"),
        ("leave", "by itself"),
    ],
)
def test_no_process_outlives_the_run(
    my_file, tmp_path, wait_until_ended, interruptible, prompt, how
):
    my_file(HANGING)
    with subprocess.Popen(
        [sys.executable, "-c", interruptible + RUN, prompt],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as run:
        while not (tmp_path / "processes").exists():
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.01)
        if prompt == "idle":
            run.stdout.readline()
        if how == "Ctrl-C":
            os.killpg(run.pid, signal.SIGINT)  # as the terminal does, to all in the foreground
        elif how == "kill":
            run.kill()
        try:
            status = run.wait(120)
        finally:
            run.kill()
        errors = run.stderr.read().decode()
    assert status == {"Ctrl-C": -signal.SIGINT, "kill": -signal.SIGKILL, "by itself": 0}[how]
    assert errors.count("Traceback") == (how == "Ctrl-C"), errors
    wait_until_ended([int(n) for n in (tmp_path / "processes").read_text().split()])
