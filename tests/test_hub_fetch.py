"""Fetching from a small Hub on loopback, which speaks as much of its protocol as that needs."""

import errno
import hashlib
import json
import re
import shutil
import sys
import threading
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants, snapshot_download

from tdmr1 import downloads, hub_fetch
from tdmr1.errors import UserError
from tdmr1.hub_cache import CachedModel, HubFile, lacking, matches
from tdmr1.hub_fetch import fetch
from tdmr1.rewards.models.features import find_space

COMMIT = "c0ffee" + 34 * "0"
LARGE = 1000
"""Bytes from which on a file is known by its SHA-256, as those in LFS are."""
FILES = {
    "config.json": b"{}",
    "model.safetensors": bytes(range(256)) * 40,
    "pytorch_model.bin": b"the same in another format",
    "onnx/config.json": b"of another format",
}
WANTED = ["*.json", "model*.safetensors", "merges.txt"]


def hash_of(content):
    if len(content) >= LARGE:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0].split("/")[1:]
        if path[:2] == ["api", "models"]:
            self._tell("/".join(path[2:]))
        else:
            org, name, _, _, *file = path
            self._send(self.server.models[f"{org}/{name}"], "/".join(file))

    def _tell(self, model):
        files = self.server.models.get(model)
        if files is None:
            self._answer(b"", 401, {"X-Error-Code": "RepoNotFound"})
            return
        siblings = []
        for name, content in files.items():
            about = {"size": len(content), "sha256": hash_of(content), "pointerSize": 1}
            large = {"lfs": about} if len(content) >= LARGE else {}
            size = {"rfilename": name, "size": len(content), "blobId": hash_of(content)}
            siblings.append({**size, **large})
        known = {"id": model, "sha": COMMIT, "siblings": siblings}
        self._answer(json.dumps(known).encode())

    def _send(self, files, name):
        content = files[name]
        if spoiled := self.server.spoiled.get(name):
            content = spoiled.pop()
        first = int(self.headers.get("Range", "bytes=0-")[len("bytes=") :].rstrip("-"))
        self.server.sent.append((name, first))
        self._answer(content[first:], 206 if first else 200)

    def _answer(self, content, status=200, headers=None):
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub with `org/name`; what it sent, and what it is to send instead."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.models, server.spoiled, server.sent = {"org/name": dict(FILES)}, {}, []
        address = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def fetched(carried=None, cache=None, patterns=WANTED):
    files = fetch("org/name", patterns, "tdmr1 rewards fetch mine", carried, cache)
    return {file.path for file in files}


def found(cache=None, patterns=WANTED):
    return CachedModel("org/name", cache).find(patterns)


def test_what_is_needed_lies_where_the_hubs_own_library_looks(hub):
    assert found() is None
    assert fetched() == {"config.json", "model.safetensors"}
    folder = found()
    assert str(folder) == snapshot_download("org/name", local_files_only=True)
    for name in ("config.json", "model.safetensors"):
        assert (folder / name).read_bytes() == FILES[name]
    assert hub.sent == [("config.json", 0), ("model.safetensors", 0)]
    assert fetched() == {"config.json", "model.safetensors"}
    assert len(hub.sent) == 2


def test_what_the_library_downloaded_is_not_fetched_again(hub):
    fetched(patterns=["config.json"])
    assert found() is None and found(patterns=["config.json"])
    fetched()
    assert [name for name, _ in hub.sent] == ["config.json", "model.safetensors"]


def blob(folder, name="model.safetensors"):
    return (folder / name).resolve()


def test_damaged_content_is_fetched_again(hub):
    fetched()
    content = blob(found())
    content.write_bytes(content.read_bytes()[:-1] + b"!")
    fetched()
    assert content.read_bytes() == FILES["model.safetensors"]
    assert [name for name, _ in hub.sent].count("model.safetensors") == 2


@pytest.mark.parametrize(
    ("begun", "first"),
    [
        (FILES["model.safetensors"][:5000], [5000]),
        (FILES["model.safetensors"], []),
        (b"!" * 5000, [5000, 0]),
        (b"!" * 20000, [0]),
    ],
)
def test_a_download_that_was_killed_is_gone_on_with(hub, begun, first):
    file = HubFile("model.safetensors", hash_of(FILES["model.safetensors"]), 10240)
    model = CachedModel("org/name")
    part = model.content(file).with_name(f".{file.hash}.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(begun)
    fetched()
    assert blob(found()).read_bytes() == FILES["model.safetensors"]
    assert [at for name, at in hub.sent if name == "model.safetensors"] == first
    assert {path.name for path in part.parent.iterdir()} == {file.hash, hash_of(b"{}")}


def test_what_is_whole_on_a_disk_that_takes_nothing_is_verified(hub, monkeypatch):
    def refuses(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    fetched()
    monkeypatch.setattr(CachedModel, "link", refuses)
    assert fetched() == {"config.json", "model.safetensors"}
    blob(found()).write_bytes(b"damaged")
    says = r"cache cannot be written: Read-only file system; make room, or name another .*HF_HUB"
    monkeypatch.setattr(CachedModel, "fill", refuses)
    with pytest.raises(UserError, match=says):
        fetched()


def test_a_cache_that_is_a_file_is_told(hub, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file cannot be written: Not a directory; make room, or"):
        fetched(cache=tmp_path / "file")


def test_of_alternatives_the_first_that_there_is_is_fetched(hub):
    ways = ["model.safetensors|pytorch_model.bin"]
    assert fetched(patterns=ways) == {"model.safetensors"}
    hub.models["org/name"].pop("model.safetensors")
    assert found(patterns=ways) and fetched(patterns=ways) == {"pytorch_model.bin"}
    with pytest.raises(UserError, match="the Hub has no a of org/name"):
        fetched(patterns=["a|b"])


def test_other_content_than_the_hub_names_is_refused(hub):
    wrong = bytes(10240)
    hub.spoiled["model.safetensors"] = [wrong, wrong]
    with pytest.raises(
        UserError, match=r"of org/name is damaged: model\.safetensors does not have"
    ):
        fetched()
    assert found() is None
    hub.spoiled["model.safetensors"] = [wrong]
    fetched()
    assert blob(found()).read_bytes() == FILES["model.safetensors"]


AWAY = (
    r"\(HF_HUB_OFFLINE is set\)\. On a machine that reaches it: tdmr1 rewards fetch mine --to "
    "FOLDER, then here: tdmr1 rewards fetch mine --from FOLDER"
)


def test_offline_it_says_what_is_missing_and_verifies_what_is_not(hub, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(UserError, match=f"org/name is not on this machine, and .*{AWAY}"):
            fetched()
    fetched()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetched() == {"config.json", "model.safetensors"}
    blob(found()).write_bytes(b"short")
    with pytest.raises(UserError, match=rf"model\.safetensors of org/name is damaged, .*{AWAY}"):
        fetched()


def test_a_hub_that_cannot_be_reached_is_as_offline(hub, monkeypatch):
    fetched()
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert fetched() == {"config.json", "model.safetensors"}
    with pytest.raises(UserError, match=r"the Hub cannot be reached \(.*refused"):
        fetched(patterns=["merges.txt"])


def test_a_folder_is_carried_to_where_there_is_no_hub(hub, monkeypatch, tmp_path):
    disk = tmp_path / "disk"
    fetched(cache=disk)
    assert found() is None and found(disk)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetched(carried=disk) == {"config.json", "model.safetensors"}
    assert blob(found()).read_bytes() == FILES["model.safetensors"]
    assert blob(found()) != blob(found(disk))
    sent = "has no merges.txt of org/name; fill it on a machine .*: tdmr1 rewards fetch mine --to"
    with pytest.raises(UserError, match=sent):
        fetched(carried=disk, patterns=["merges.txt"])


def test_a_carried_folder_that_is_damaged_or_lost_its_links_is_refused(hub, tmp_path):
    disk = tmp_path / "disk"
    fetched(cache=disk)
    blob(found(disk)).write_bytes(bytes(10240))
    with pytest.raises(UserError, match=r"disk has of org/name is damaged: model\.safetensors"):
        fetched(carried=disk)
    shutil.copytree(disk, tmp_path / "plain")
    with pytest.raises(UserError, match=r"nothing says what the content of config\.json should"):
        fetched(carried=tmp_path / "plain")
    assert found() is None


def test_a_model_that_is_none_or_another_is_told(hub):
    hub.models["org/other"] = {"model.safetensors": b"1"}
    hub.models["org/evil"] = {"../../../config.json": b"1"}
    for model, says in {
        "org/unknown": "neither a folder org/unknown nor a model of that name on the Hub",
        "org/other": r"the Hub has no \*\.json of org/other; is it another model\? See https://",
        "org/evil": "'../../../config.json' is no name of a file of a model",
    }.items():
        with pytest.raises(UserError, match=says):
            fetch(model, WANTED, "tdmr1 rewards fetch mine")


def test_without_room_nothing_is_fetched(hub, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: usage(10_000))
    with pytest.raises(UserError, match=r"0 MB are to be fetched, and .*cache has room for 0 MB"):
        fetched()
    assert hub.sent == []


def test_two_at_one_file_are_refused(hub):
    file = HubFile("config.json", hash_of(b"{}"), 2)
    model = CachedModel("org/name")

    def meanwhile(content):
        with pytest.raises(UserError, match=r"the download of config\.json is in use by process"):
            fetched()
        content.write(b"{}")

    assert model.fill(file, meanwhile)


def test_how_far_it_is_is_shown(hub, monkeypatch):
    seen = []
    for module in (downloads, hub_fetch):
        monkeypatch.setattr(module, "MEGABYTE", 1000)
    monkeypatch.setattr(downloads.Task, "advance", lambda task, steps: seen.append(steps))
    fetched()
    assert seen == [10]


@pytest.mark.parametrize(
    ("path", "asked"),
    [("a.json", True), ("b/a.json", False), ("model-1.safetensors", True), ("x.txt", False)],
)
def test_a_pattern_asks_for_files_of_its_folder(path, asked):
    assert matches(path, WANTED) is asked
    assert matches(path, [])


def test_a_plain_name_beside_patterns_may_be_absent():
    assert lacking(["a.json", "model.safetensors"], WANTED) == []
    assert lacking(["a.json"], WANTED) == ["model*.safetensors"]
    assert lacking([], ["head.pth"]) == ["head.pth"]


REWARD = """
    from tdmr1.rewards import Reward, Weights, hookimpl

    class Mine(Reward):
        name = "mine"
        weights = (
            Weights("Name", "MIT", 1, "a page", "model", ("*.json", "model*.safetensors")),
            Weights("Head", "MIT", 1, "a page", "head"),
            Weights("In its wheel", "MIT", 0, "mine"),
        )

        def __init__(self, model="org/name", head="org/name/pytorch_model.bin"):
            raise RuntimeError("it was made")

        def score(self, samples):
            return [0.0] * len(samples)

    @hookimpl
    def register_rewards(register):
        register("mine", Mine)
"""


def test_the_command_fetches_what_rewards_state(hub, install, tdmr1, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    install("tdmr1-reward-mine", ["mine"], code=REWARD)
    install(
        "tdmr1-reward-none",
        ["none"],
        code=REWARD.replace('"mine"', '"none"').replace(", 1,", ", 0,"),
    )
    status, out, _ = tdmr1("rewards", "fetch", "mine", "none", "--to", "disk")
    assert status == 0
    assert out.splitlines() == [
        "mine: org/name: 2 files, 0 MB, whole",
        "mine: org/name/pytorch_model.bin: 1 file, 0 MB, whole",
        "none: nothing to fetch",
        "take disk with you, links as links; there: tdmr1 rewards fetch mine none --from disk, "
        "or use it where it lies: HF_HUB_CACHE=FOLDER",
    ]
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (tmp_path / "here").mkdir()
    status, out, _ = tdmr1("rewards", "fetch", "mine", "--from", "disk", "--option", "model=here")
    assert out.splitlines()[0] == "mine: here: a path, used as it is"
    assert found(patterns=["pytorch_model.bin"]) and not found()


def test_a_feature_space_is_fetched_by_its_name(hub, tdmr1):
    _, out, _ = tdmr1("rewards", "fetch", "dinov2:org/name")
    assert out == "dinov2:org/name: org/name: 2 files, 0 MB, whole\n"
    assert find_space("dinov2:org/name", "eval_features") == found()
    status, _, err = tdmr1("rewards", "fetch", "dinov2:org/unknown")
    assert status == 1 and "nor a model of that name on the Hub" in err


def test_without_the_hubs_library_its_package_is_named(install, tdmr1, monkeypatch):
    install("tdmr1-reward-mine", ["mine"], code=REWARD)
    for module in ("tdmr1.hub", "tdmr1.hub_fetch"):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", None)
    status, _, err = tdmr1("rewards", "fetch", "mine")
    assert status == 1 and "to fetch org/name needs huggingface-hub (" in err
    assert re.search("try: pip install .*huggingface_hub", err)


def test_weights_of_an_option_that_there_is_not_are_told(hub, install, tdmr1):
    code = REWARD.replace('"a page", "head"', '"a page", "haed"')
    install("tdmr1-reward-mine", ["mine"], code=code)
    status, _, err = tdmr1("rewards", "fetch", "mine")
    assert status == 1 and "of Head that its option 'haed' names them, and has no such" in err


def test_weights_of_no_option_are_those_of_their_name(hub, install, tdmr1):
    code = REWARD.replace('"Head", "MIT", 1, "a page", "head"', '"org/name", "MIT", 1, "a page"')
    install("tdmr1-reward-mine", ["mine"], code=code)
    _, out, _ = tdmr1("rewards", "fetch", "mine")
    assert out.splitlines()[1] == "mine: org/name: 4 files, 0 MB, whole"
    assert (found(patterns=[]) / "onnx" / "config.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["mine", "--option", "modle=x"], "reward 'mine' has no option 'modle'"),
        (["mine", "--option", "model=x"], "x is neither a path nor a name of the Hub"),
        (["mine", "mine", "--option", "model=x"], "--option is of one reward"),
        (["nobody"], "no reward 'nobody' is installed"),
    ],
)
def test_what_cannot_be_fetched_is_told(hub, install, tdmr1, arguments, says):
    install("tdmr1-reward-mine", ["mine"], code=REWARD)
    status, _, err = tdmr1("rewards", "fetch", *arguments)
    assert status == 1 and says in err
