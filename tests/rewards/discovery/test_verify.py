import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tdmr1.rewards.discovery.installed import installed
from tdmr1.rewards.discovery.verify import verified

GOOD = """
    import os
    from tdmr1.rewards import Reward, hookimpl

    class Good(Reward):
        name = "good"

        def __init__(self):
            print("loading")
            os.system("echo from a process of its own")

        def score(self, samples):
            return [0.0] * len(samples)

    @hookimpl
    def register_rewards(register):
        register("good", Good)
"""


@pytest.fixture
def status(install, tmp_path, monkeypatch):
    """The verified status of a reward with some code."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def status(code, time_limit=600):
        install("tdmr1-reward-good", ["good"], code=code)
        (reward,) = [reward for reward in installed() if reward.name == "good"]
        return verified(reward, time_limit).status

    return status


def test_a_reward_that_loads_is_ok_whatever_it_prints(status):
    assert status(GOOD) == "ok"
    assert "tdmr1_reward_good" not in sys.modules


def test_one_that_needs_options_is_not_broken(status):
    refuses = "raise RewardOptionInvalid('where is the judge?\\nset url')"
    code = GOOD.replace('print("loading")', refuses)
    found = status("    from tdmr1.rewards.errors import RewardOptionInvalid\n" + code)
    assert found == "needs options: where is the judge?; set url"
    assert dataclasses.replace(installed()[0], status=found).usable


@pytest.mark.parametrize(
    "asks",
    [
        "published_folder('org/name', ['*.json'], 'good.model')",
        "hf_hub_download('org/name', 'config.json')",
    ],
)
def test_one_whose_weights_are_missing_is_not_broken_and_downloads_nothing(
    status, tmp_path, monkeypatch, asks
):
    """Neither ours nor one that asks the Hub itself."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    code = GOOD.replace('print("loading")', asks)
    code = f"""
    from tdmr1.rewards.models.published import published_folder
    from huggingface_hub import hf_hub_download
{code}"""
    assert status(code) == "weights missing; try: tdmr1 rewards fetch good"
    assert dataclasses.replace(installed()[0], status="weights missing; try: x").usable


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import no_such_module", "'no_such_module'; try: pip install \"no_such_module\""),
        (GOOD.replace('print("loading")', "1 / 0"), "cannot be constructed: ZeroDivisionError"),
        ("import sys; sys.exit(3)", "cannot be imported: SystemExit: 3; try: pip install"),
        ("import os; os._exit(3)", "ended with exit status 3: it printed nothing; try: pip"),
        (
            "import os, sys; print('no\\nGPU', file=sys.stderr, flush=True); os.abort()",
            "died with signal 6: GPU; try: pip install --force-reinstall tdmr1-reward-good",
        ),
    ],
)
def test_one_that_does_not_is_broken_with_reason_and_fix(status, code, says):
    found = status(code)
    assert found.startswith("broken: ")
    assert says in found
    assert "\n" not in found


@pytest.mark.parametrize("stopped", [False, True])
def test_one_that_hangs_is_ended_with_all_that_it_started(status, tmp_path, monkeypatch, stopped):
    pids = tmp_path / "pids"
    code = f"""
        import os, subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        with open({str(pids)!r} + ".part", "w") as file:
            print(os.getpid(), child.pid, file=file)
        os.rename(file.name, {str(pids)!r})
        time.sleep(600)
    """
    communicate = subprocess.Popen.communicate

    def once_it_hangs(process, timeout):
        until(pids.exists)
        if stopped:
            raise KeyboardInterrupt
        return communicate(process, timeout=timeout)

    monkeypatch.setattr(subprocess.Popen, "communicate", once_it_hangs)
    if stopped:
        with pytest.raises(KeyboardInterrupt):
            status(code)
    else:
        assert status(code, time_limit=0.1).startswith("broken: not ready after 0.1 s; try: pip")
    for pid in pids.read_text().split():
        until(lambda pid=pid: ended(pid))


def until(condition, limit=120.0):
    """Wait for a condition."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"still not so after {limit:g} s"
        time.sleep(0.02)


def ended(pid):
    """Whether a process is gone, or only waits for its parent to take note."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state.rpartition(")")[2].split()[0] == "Z"


def test_what_metadata_shows_to_be_broken_is_not_tried(install):
    install("tdmr1-reward-gone", ["gone"])
    (reward,) = [reward for reward in installed() if reward.name == "gone"]
    assert verified(reward) == reward


def test_an_environment_that_is_gone_is_broken(install, tmp_path):
    install("tdmr1-reward-good", ["good"], code=GOOD)
    (reward,) = [reward for reward in installed() if reward.name == "good"]
    there = dataclasses.replace(reward, place="own environment", python=str(tmp_path / "python"))
    assert verified(there).status == (
        f"broken: {tmp_path / 'python'} cannot be started: No such file or directory; "
        "try: tdmr1 rewards install good"
    )
