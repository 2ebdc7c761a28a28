from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from transformers import CLIPModel, CLIPVisionModelWithProjection

from tdmr1.errors import UserError
from tdmr1.rewards.errors import WeightsMissing
from tdmr1.rewards.models.published import (
    WEIGHTS,
    network_with,
    published_file,
    published_folder,
    read_network,
    read_tensors,
)
from tdmr1.rewards.models.small_clip import small_clip, write_small_clip


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """The Hub's cache, which is empty."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_missing_weights_name_the_command_that_fetches_them(cache):
    says = (
        "the weights {0} are not on this machine; try: tdmr1 rewards fetch mine --option {1}={0}"
    )
    with pytest.raises(WeightsMissing) as error:
        published_folder("org/name", WEIGHTS, "mine.model")
    assert str(error.value) == says.format("org/name", "model")
    with pytest.raises(WeightsMissing) as error:
        published_file("org/name/a/head.pth", "mine.head")
    assert str(error.value) == says.format("org/name/a/head.pth", "head")


def test_a_folder_or_a_file_needs_no_hub(tmp_path):
    assert published_folder(str(tmp_path), WEIGHTS, "mine.model") == tmp_path
    (tmp_path / "head.pth").touch()
    assert published_file(str(tmp_path / "head.pth"), "mine.head") == tmp_path / "head.pth"


def test_what_was_fetched_is_found_where_all_of_it_is_there(cache):
    model = cache / "models--org--name"
    folder = model / "snapshots" / ("a" * 40)
    folder.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("a" * 40)
    for name in ("config.json", "head.pth"):
        (folder / name).touch()
    assert published_file("org/name/head.pth", "mine.head") == folder / "head.pth"
    with pytest.raises(WeightsMissing):
        published_folder("org/name", WEIGHTS, "mine.model")
    (folder / "model-00001-of-00002.safetensors").touch()
    assert published_folder("org/name", WEIGHTS, "mine.model") == folder


def test_a_missing_file_is_no_name_of_the_hub():
    with pytest.raises(UserError, match=r"no file /nowhere/head.*ORG/NAME/FILE"):
        published_file("/nowhere/head", "mine.head")
    with pytest.raises(UserError, match=r"no folder \./nowhere"):
        published_folder("./nowhere", WEIGHTS, "mine.model")


@pytest.mark.parametrize("beneath", [False, True])
def test_tensors_are_read_from_either_layout(tmp_path, beneath):
    tensors = {"a": torch.arange(3.0)}
    torch.save({"state_dict": tensors, "epoch": 3} if beneath else tensors, tmp_path / "w.pt")
    save_file(tensors, tmp_path / "w.safetensors")
    for name in ("w.pt", "w.safetensors"):
        assert torch.equal(read_tensors(tmp_path / name)["a"], tensors["a"])


class Command:
    """What a file of torch could run."""

    def __reduce__(self):
        return print, ("it ran",)


def test_nothing_in_a_file_of_weights_is_run(tmp_path, capsys):
    torch.save({"a": Command()}, tmp_path / "w.pt")
    with pytest.raises(UserError, match="cannot be read as weights"):
        read_tensors(tmp_path / "w.pt")
    assert "it ran" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_a_damaged_file_is_to_be_downloaded_again(tmp_path, name):
    (tmp_path / name).write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"w\.\w+ cannot be read as weights: .*\n.*rewards fetch"):
        read_tensors(tmp_path / name)


def test_a_file_of_something_else_is_no_weights(tmp_path):
    torch.save([torch.ones(1)], tmp_path / "w.pt")
    with pytest.raises(UserError, match="something else than tensors"):
        read_tensors(tmp_path / "w.pt")


def test_a_network_may_be_part_of_what_was_published(tmp_path, caplog):
    network = read_network(CLIPVisionModelWithProjection, write_small_clip(tmp_path))
    whole = CLIPModel.from_pretrained(tmp_path)
    assert torch.equal(network.visual_projection.weight, whole.visual_projection.weight)
    assert not network.training and not caplog.records


def test_no_weight_is_left_at_random(tmp_path):
    file = write_small_clip(tmp_path) / "model.safetensors"
    tensors = load_file(file)
    del tensors["text_projection.weight"], tensors["logit_scale"]
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(UserError, match=r"CLIPModel: it lacks 2 weights, e\.g\. logit_scale"):
        read_network(CLIPModel, tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_network_without_a_file_is_told(tmp_path, name):
    (write_small_clip(tmp_path) / name).unlink()
    with pytest.raises(UserError, match=r"cannot be read as CLIPModel: .*\n.*rewards fetch"):
        read_network(CLIPModel, tmp_path)


def test_a_network_whose_file_is_cut_short_is_told(tmp_path):
    weights = write_small_clip(tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: np.int64(weights.stat().st_size // 2)])
    with pytest.raises(UserError, match="cannot be read as CLIPModel"):
        read_network(CLIPModel, tmp_path)


def test_weights_of_another_layout_are_a_network_s_own_and_not_copied():
    config, tensors = small_clip().config, small_clip().state_dict()
    network = network_with(CLIPModel, config, tensors, Path("w.pt"))
    for name, tensor in network.state_dict().items():
        assert tensor.data_ptr() == tensors[name].data_ptr()
    assert not network.training and not network.logit_scale.requires_grad


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"logit_scale": None},
            r"w\.pt is not a CLIPModel: it lacks 1 weights, e\.g\. logit_scale",
        ),
        ({"text_projection.weight": torch.ones(3)}, r"text_projection\.weight has another shape"),
        ({"more": torch.ones(3)}, "w.pt is of another CLIPModel: more has no place there"),
    ],
)
def test_such_weights_are_all_there_and_no_others(change, says):
    tensors = {**small_clip().state_dict(), **change}
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    with pytest.raises(UserError, match=says):
        network_with(CLIPModel, small_clip().config, kept, Path("w.pt"))
