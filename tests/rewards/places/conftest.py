import contextlib
import site
import textwrap
import threading
import time
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import tdmr1.rewards
from tdmr1.rewards import Sample, Score
from tdmr1.rewards.places import messages
from tdmr1.rewards.places.actor import RewardActor
from tdmr1.rewards.places.base import RewardInfo
from tdmr1.rewards.places.here import Here
from tdmr1.rewards.places.http import Http
from tdmr1.rewards.places.loading import load_described
from tdmr1.rewards.places.server import RewardServer
from tdmr1.rewards.places.wire import encode, pixel_chunks, read_frame
from tdmr1.rewards.places.worker import Worker


@pytest.fixture
def my_file(tmp_path, monkeypatch):
    """Write ./my.py into the current directory."""
    monkeypatch.chdir(tmp_path)
    return lambda code: (tmp_path / "my.py").write_text(textwrap.dedent(code))


@pytest.fixture
def closing():
    """Closes what it is given at the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda thing: stack.enter_context(contextlib.closing(thing))


@pytest.fixture(params=["here", "worker", "http"])
def placed(request, closing, serve):
    """Opens a reward here, in a worker and behind a server, in turn."""

    def placed(spec):
        match request.param:
            case "here":
                reward, info = load_described(spec)
                return Here(reward, info=info)
            case "worker":
                return closing(Worker(spec))
            case "http":
                server = serve(worker=closing(Worker(spec)))
                return closing(Http(spec, [server.address]))

    return placed


@pytest.fixture
def from_actor():
    """What an actor answers whose reward scores a batch."""

    def from_actor(spec, batch):
        actor = RewardActor()
        actor.load(b"".join(encode(messages.load_request(spec, {}, None))))
        frame = b"".join(encode(messages.score_request(batch), pixel_chunks(batch)))
        return read_frame(actor.score(frame))[0]

    return from_actor


@pytest.fixture
def numbered():
    """N samples, each of a size and with a first pixel of its own, the number in its prompt."""

    def numbered(n, start=0):
        samples = []
        for i in range(start, start + n):
            image = np.zeros((3 + i % 5, 4 + i % 7, 3), np.uint8)
            image[0, 0] = i % 256, i // 256 % 256, 7
            samples.append(Sample(image, f"number {i}", {"number": i}))
        return samples

    return numbered


@pytest.fixture
def wait_until_ended():
    """Wait for processes to end; fails if they do not."""

    def wait(processes, seconds=60):
        deadline = time.monotonic() + seconds
        while running := [process for process in processes if is_running(process)]:
            assert time.monotonic() < deadline, f"{running} go on"
            time.sleep(0.02)

    return wait


def is_running(process):
    """Whether there is such a process, and it is no zombie that its parent has yet to notice."""
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Wheelhouse:
    """Wheels made by hand, so that an environment is built without any network."""

    def __init__(self, folder):
        self.folder = folder

    def add(self, name, version, files, requires=(), entry_points="", extras=()):
        """A pure wheel; `files` maps paths in it to their text. Gives its path."""
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
        metadata += ["Summary: A test of it"]
        metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
        metadata += [f"Provides-Extra: {extra}" for extra in extras]
        files = {
            **files,
            f"{info}/METADATA": "\n".join(metadata) + "\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/entry_points.txt": entry_points,
        }
        files[f"{info}/RECORD"] = "".join(f"{p},,\n" for p in [*files, f"{info}/RECORD"])
        path = self.folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            for file, text in files.items():
                wheel.writestr(file, text)
        return path

    def add_reward(self, name, code, requires=(), extras=()):
        """`tdmr1-reward-NAME` 1.0, a module."""
        module = f"tdmr1_reward_{name}"
        entry = f"[tdmr1.rewards]\n{name} = {module}\n"
        files = {f"{module}.py": textwrap.dedent(code)}
        return self.add(f"tdmr1-reward-{name}", "1.0", files, requires, entry, extras)

    def add_base(self):
        """This `tdmr1`, which borrows numpy and pluggy from where the tests run."""
        files = {"borrowed.pth": "\n".join(site.getsitepackages()) + "\n"}
        for package in (tdmr1, tdmr1.rewards):
            root = Path(package.__file__).parent
            for path in root.rglob("*.py"):
                inside = path.relative_to(root).as_posix()
                files[f"{package.__name__.replace('.', '/')}/{inside}"] = path.read_text()
        return self.add("tdmr1", tdmr1.__version__, files)


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory):
    """Where pip and uv look for packages, and nowhere else."""
    folder = tmp_path_factory.mktemp("wheels")
    with pytest.MonkeyPatch.context() as patch:
        for tool in ("PIP", "UV"):
            patch.setenv(f"{tool}_NO_INDEX", "1")
            patch.setenv(f"{tool}_FIND_LINKS", str(folder))
        yield Wheelhouse(folder)


class Stub:
    """Stands for a `Worker`: scores in this process with what a function makes of samples."""

    figures: ClassVar = {}

    def __init__(self, score, **info):
        self.score, self.asked = score, []
        self.info = RewardInfo(**{"name": "stub", "range": (0.0, 1e6), "version": "1.2", **info})

    def score_in(self, memory, samples, seconds):
        self.asked.append((len(samples), seconds))
        return self.score(samples)


def numbers(samples):
    """The number that each image of `numbered` shows, with its prompt as the reason."""
    pixels = [sample.image[0, 0].astype(int) for sample in samples]
    return [
        Score(float(p[0] + 256 * p[1]), s.prompt) for p, s in zip(pixels, samples, strict=True)
    ]


@pytest.fixture
def serve(monkeypatch):
    """Start servers of a stub; gives each, which has its address as `.address`."""
    monkeypatch.delenv("TDMR1_TOKEN", raising=False)
    servers = []

    def serve(score=numbers, token=None, port=0, worker=None, **info):
        server = RewardServer("127.0.0.1", port, token)
        server.address = f"127.0.0.1:{server.server_address[1]}"
        server.worker = worker or Stub(score, **info)
        threading.Thread(target=server.serve, args=(server.worker,), daemon=True).start()
        servers.append(server)
        return server

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()
