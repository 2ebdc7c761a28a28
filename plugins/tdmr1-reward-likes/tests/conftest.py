import contextlib
import importlib.util
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import uvicorn

from tdmr1_reward_likes.app import application
from tdmr1_reward_likes.pictures import Item
from tdmr1_reward_likes.rehearsal import draw
from tdmr1_reward_likes.store import Store
from tdmr1_reward_likes.voting import Sharing, Voting

SIZES = {
    "phone": {"width": 360, "height": 700},
    "tablet": {"width": 820, "height": 1180},
    "desktop": {"width": 1200, "height": 800},
}
"""Of browsers, in pixels."""
ELSEWHERE = "likes.test"
"""The server, as a browser of another machine knows it: by a name that it does not trust."""


class Clock:
    """A clock that the tests set."""

    def __init__(self):
        self.now = 1e9

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    store = Store(tmp_path / "likes.sqlite", clock)
    yield store
    store.close()


@pytest.fixture
def voting(store):
    """Without pictures for several voters; Ada and Bob have joined."""
    voting = Voting(store, Sharing(share=0.0))
    for name in ("Ada", "Bob"):
        voting.join(name)
    return voting


@pytest.fixture
def post(store):
    """Queue pictures, each of its own colour: `post(3, group=1)` gives three ids."""
    made = iter(range(1, 2**24))

    def post(count, run="run", iteration=1, wanted=1, prompt="a star", group=None):
        items = []
        for colour in (next(made) for _ in range(count)):
            image = np.full((8, 6, 3), [colour >> 16, colour >> 8 & 255, colour & 255], np.uint8)
            items.append(Item(image, prompt, group))
        return store.post(run, iteration, items, wanted)

    return post


def of_bench(name):
    path = Path(__file__).parents[1] / "bench" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bench():
    """The scripted voter."""
    pytest.importorskip("tdmr1_shapes")
    pytest.importorskip("tdmr1_reward_geneval")
    return of_bench("hidden_rule")


@pytest.fixture(scope="module")
def curve():
    """What is drawn of a training with that voter."""
    return of_bench("curve")


@pytest.fixture(scope="module")
def scenes(bench):
    """Twenty, some of them with something blue."""
    return draw(np.random.default_rng(3), 20, 1)


@pytest.fixture(scope="module")
def chromium():
    """Headless, as the distribution brings it, driven by Playwright."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="pip install 'tdmr1-reward-likes[test]'"
    )
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox", f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1"]
        browser = driver.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def server():
    """Serves a queue in a process of its own for the length of a block; gives the process."""

    @contextlib.contextmanager
    def server(queue, port):
        command = [sys.executable, "-c", "from tdmr1.cli import main; main()", "likes", "serve"]
        command += ["--queue", str(queue), "--port", str(port), "--shared", "0"]
        command += ["--rate", "10000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout.readline().startswith("voting: ")
                yield process
            finally:
                process.kill()

    return server


@pytest.fixture
def port():
    """One that is free."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def serve_pages(tmp_path):
    """Serve a queue over HTTP; gives its voting and the address."""
    running = []

    def serve_pages(**options):
        voting = Voting(Store(tmp_path / "likes.sqlite"), Sharing(share=0.0))
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        config = uvicorn.Config(
            application(voting, port, **options),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running.append((server, thread, listener, voting))
        return voting, f"http://127.0.0.1:{port}"

    yield serve_pages
    for server, thread, listener, voting in running:
        server.should_exit = True
        thread.join()
        listener.close()
        voting.store.close()


@pytest.fixture
def open_page(chromium):
    """Open a page of a new browser; errors and warnings of its console fail the test, unless it
    may complain."""
    complaints, contexts = [], []

    def heard(message):
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    def open_page(address, size="desktop", may_complain=False, **options):
        context = chromium.new_context(viewport=SIZES[size], **options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        if not may_complain:
            page.on("console", heard)
            page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def join(open_page):
    """Open the pages as a voter."""

    def join(address, name="Ada", **options):
        page = open_page(address, **options)
        page.fill("#name", name)
        page.keyboard.press("Enter")
        page.wait_for_selector("#bar")
        return page

    return join
