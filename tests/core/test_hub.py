import json
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
)

from tdmr1.core import hub
from tdmr1.errors import UserError

PAGE = r"https://huggingface\.co/org/name"


@pytest.fixture
def answer(monkeypatch):
    """Let the Hub answer every download with an error, or with a file."""

    def answer(with_):
        def download(*args, **kwargs):
            if isinstance(with_, Exception):
                raise with_
            return str(with_)

        for name in ("hf_hub_download", "snapshot_download"):
            monkeypatch.setattr(hub, name, download)

    return answer


def http(kind, text="the server's words"):
    return kind(text, response=SimpleNamespace(headers={}, request=None))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (http(GatedRepoError), rf"org/name is gated: .*{PAGE}.*: hf auth login"),
        (http(RepositoryNotFoundError), rf"neither a folder org/name nor a model.*{PAGE}"),
        (http(RemoteEntryNotFoundError), rf"not a pipeline of diffusers.*{PAGE}"),
        (LocalEntryNotFoundError("no network"), "hf download org/name --local-dir FOLDER"),
        (http(HfHubHTTPError), r"download of org/name failed: the server's words\n.*continues"),
        (hub.HTTPError("no connection"), "download of org/name failed: no connection"),
        (OSError(28, "No space left"), "download of org/name failed: .*No space left"),
    ],
)
def test_what_the_hub_answers_says_what_to_do(answer, error, says):
    answer(error)
    for ask in (hub.pipeline_layout, hub.network_folder):
        with pytest.raises(UserError, match=says) as raised:
            ask("org/name")
        assert raised.value.__cause__ is error


@pytest.mark.parametrize("model", ["./nowhere", "/nowhere/at/all", "a/b/c", "../x"])
def test_a_path_is_not_looked_for_on_the_hub(answer, tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)  # whatever lies beside the folder of the tests
    answer(AssertionError("asked the Hub"))
    with pytest.raises(UserError, match=rf"there is no folder {model}"):
        hub.pipeline_layout(model)


def test_the_layout_is_the_pipelines_class(tmp_path, answer):
    (tmp_path / hub.INDEX).write_text(json.dumps({"_class_name": "FluxPipeline"}))
    assert hub.pipeline_layout(str(tmp_path)) == "FluxPipeline"
    answer(tmp_path / hub.INDEX)
    assert hub.pipeline_layout("org/name") == "FluxPipeline"


@pytest.mark.parametrize("text", ["{", "[]", "{}", '"x"', "\udcff"])
def test_a_damaged_index_is_to_be_downloaded_again(tmp_path, text):
    (tmp_path / hub.INDEX).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=r"model_index\.json is damaged .*again"):
        hub.pipeline_layout(str(tmp_path))


def test_code_of_a_models_own_is_not_run(tmp_path):
    (tmp_path / hub.INDEX).write_text(json.dumps({"_class_name": ["pipeline", "Mine"]}))
    with pytest.raises(UserError, match="brings code of its own"):
        hub.pipeline_layout(str(tmp_path))


def test_a_folder_is_used_where_it_stands(tmp_path, answer):
    answer(AssertionError("asked the Hub"))
    assert hub.pipeline_folder(str(tmp_path)) == hub.network_folder(str(tmp_path)) == tmp_path
    with pytest.raises(UserError, match=r"has no model_index\.json; name the folder"):
        hub.pipeline_layout(str(tmp_path))


def test_the_hub_gives_a_folder(tmp_path, answer):
    answer(tmp_path)
    assert hub.network_folder("org/name") == tmp_path


def test_a_student_is_used_where_it_stands(tmp_path, answer):
    answer(AssertionError("asked the Hub"))
    file = tmp_path / "ema.ckpt"
    file.touch()
    assert hub.student_path(str(tmp_path)) == tmp_path
    assert hub.student_path(str(file)) == file
    with pytest.raises(UserError, match=r"there is no folder \./nowhere"):
        hub.student_path("./nowhere")


@pytest.mark.parametrize(
    ("student", "asked"),
    [
        ("org/name", ("snapshot", "org/name")),
        ("org/name/sub/ema.ckpt", ("file", "org/name", "sub/ema.ckpt")),
        ("Luo-Yihong/TDM-R1", ("file", "Luo-Yihong/TDM-R1", "tdmr1_zimage_ema.ckpt")),
        ("Luo-Yihong/TDM_sd3_lora", ("file", "Luo-Yihong/TDM_sd3_lora", hub.LORA_FILE)),
    ],
)
def test_a_student_of_the_hub_is_downloaded_alone(monkeypatch, tmp_path, student, asked):
    requests = []

    def snapshot(model, allow_patterns):
        requests.append(("snapshot", model))
        assert hub.LORA_FILE in allow_patterns and "adapter_config.json" in allow_patterns
        return str(tmp_path)

    def file(model, name):
        requests.append(("file", model, name))
        return str(tmp_path)

    monkeypatch.setattr(hub, "snapshot_download", snapshot)
    monkeypatch.setattr(hub, "hf_hub_download", file)
    assert hub.student_path(student) == tmp_path
    assert requests == [asked]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (http(GatedRepoError), rf"org/name is gated: .*{PAGE}.*: hf auth login"),
        (http(RepositoryNotFoundError), rf"neither a folder org/name nor a model.*{PAGE}"),
        (http(RemoteEntryNotFoundError), rf"org/name is not a LoRA.*{PAGE}"),
        (LocalEntryNotFoundError("no network"), "then here: --student FOLDER"),
    ],
)
def test_so_are_the_hubs_answers_about_students(answer, error, says):
    answer(error)
    for student in ("org/name", "org/name/ema.ckpt"):
        with pytest.raises(UserError, match=says):
            hub.student_path(student)
