"""What the command line says about models that cannot be trained."""

import re
import sys
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import GatedRepoError
from safetensors.torch import load_file, save_file

from tdmr1.cli import main

SMALL = """
iterations = 1
prompts = "prompts.txt"
heldout = "heldout.txt"

[generator]
dtype = "float32"
prompt_tokens = 16
teacher_steps = 1

[method]
steps = 1
boundaries = 1
batch = 2
rank = 2
"""


@pytest.fixture
def distill(tmp_path, monkeypatch, capsys):
    """Distil a model here; gives what the error says, and leaves no run behind."""
    monkeypatch.setenv("TDMR1_DEBUG", "")
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL)
    (tmp_path / "prompts.txt").write_text("a red star\n")
    (tmp_path / "heldout.txt").write_text("two dogs\n")

    def distill(model, *more, begun=False):
        command = ["distill", "--config", "small.toml", "--out", "run", "--model", str(model)]
        monkeypatch.setattr(sys, "argv", ["tdmr1", *command, *more])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 1
        assert (tmp_path / "run").exists() == begun
        return capsys.readouterr().err

    return distill


def test_there_is_no_such_model(distill):
    assert distill("./nowhere").startswith("error: there is no folder ./nowhere; a model of the")


def test_a_folder_is_of_another_pipeline(distill, copied):
    folder = copied("sd3")
    index = folder / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusion3Pipeline", "OtherPipeline"))
    err = distill(folder)
    assert re.search(r"^error: .*sd3 is a OtherPipeline, for .*StableDiffusion3Pipeline", err)
    assert "pip install tdmr1-diffusers" in err and "pip install tdmr1-flux2" in err


def test_files_are_missing(distill, copied):
    folder = copied("zimage")
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    assert re.search(r"it lacks: transformer/\*\.safetensors; .*hf download", distill(folder))


def test_a_gated_model_says_how_to_log_in(distill, monkeypatch):
    def refuse(*args, **kwargs):
        raise GatedRepoError("403", response=SimpleNamespace(headers={}, request=None))

    monkeypatch.setattr("tdmr1.core.hub.hf_hub_download", refuse)
    err = distill("org/name")
    assert (
        "accept its licence on https://huggingface.co/org/name, then log in with: hf auth" in err
    )


def test_a_resolution_that_the_vae_cannot_take(distill, written):
    err = distill(written["sd3"], "--set", "generator.resolution=60")
    assert "multiples of 16" in err and err.endswith("try --set generator.resolution=48\n")


def test_an_overflow_names_role_and_layer(distill, copied):
    folder = copied("sd3")
    path = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights["transformer_blocks.1.ff.net.2.weight"] *= 1e38
    weights["transformer_blocks.1.ff.net.2.weight"] += 1e38
    save_file(weights, path, {"format": "pt"})
    err = distill(folder, begun=True)
    assert re.search(r"the teacher's velocity is not finite: transformer_blocks\.1\.", err)
