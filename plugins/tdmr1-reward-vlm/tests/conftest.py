import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from tdmr1_reward_vlm.reward import Vlm


@contextlib.contextmanager
def started(port=0):
    """A judge's process and its URL."""
    command = [sys.executable, str(Path(__file__).parent / "judge_server.py"), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


@pytest.fixture(autouse=True, scope="session")
def plain_environment():
    """What the machine says of proxies and keys has no part in these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.delenv("TDMR1_VLM_KEY", raising=False)
        yield


@pytest.fixture(scope="session")
def url():
    with started() as (_, url):
        yield url


@pytest.fixture
def start():
    """Start a judge of one's own: `start(port)` gives its process and its URL."""
    with contextlib.ExitStack() as stack:
        yield lambda port=0: stack.enter_context(started(port))


@pytest.fixture
def vlm(url):
    """Make the reward, with a judge that does what `model` names."""

    def vlm(model="bright", **options):
        return Vlm(**{"url": url, "model": model, "retries": 0, "time_limit": 20.0, **options})

    return vlm
