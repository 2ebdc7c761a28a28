"""Weights that are not there, or are others, are told before anything is loaded."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from transformers import CLIPModel

from tdmr1.errors import UserError
from tdmr1.rewards.models.small_clip import write_open_clip
from tdmr1_reward_geneval.detector import DetectorError
from tdmr1_reward_geneval.mask2former import Mask2FormerDetector
from tdmr1_reward_geneval.weights import find_clip, find_mask2former


def test_weights_are_found_where_they_are(detector_folder, clip_folder):
    assert find_mask2former(str(detector_folder)) == detector_folder
    assert find_clip(str(clip_folder)) == clip_folder
    Mask2FormerDetector(str(detector_folder), str(clip_folder)).ready(colors=True)


def test_missing_weights_name_the_command_that_fetches_them():
    with pytest.raises(
        UserError, match=r"try: tdmr1 rewards fetch geneval --option weights=org/no"
    ):
        Mask2FormerDetector("org/no-such-model").ready(colors=False)
    with pytest.raises(
        UserError, match=r"try: tdmr1 rewards fetch geneval --option color_weights="
    ):
        find_clip("org/no-such-model")


@pytest.mark.parametrize("which", ["./no/such/folder", "no such name"])
def test_what_is_no_name_of_a_model_is_told(which, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=f"there is no folder {which}; a model of the Hub is named"
    ):
        find_clip(which)


def test_the_weights_of_colors_are_not_missed_where_no_color_is_asked(detector_folder):
    detector = Mask2FormerDetector(str(detector_folder), "org/no-such-model")
    detector.ready(colors=False)
    with pytest.raises(UserError, match="the weights org/no-such-model are not on this machine"):
        detector.ready(colors=True)


def test_missing_packages_name_the_extra(monkeypatch):
    monkeypatch.setattr(Mask2FormerDetector, "modules", ("numpy", "no_such_module"))
    with pytest.raises(DetectorError, match=r"needs no_such_module; try: pip install 'tdmr1-rew"):
        Mask2FormerDetector().ready(colors=False)


def test_half_a_download_is_told(detector_folder, tmp_path):
    with pytest.raises(DetectorError, match=r"there is no config\.json in"):
        find_mask2former(str(tmp_path))
    (tmp_path / "config.json").write_bytes((detector_folder / "config.json").read_bytes())
    with pytest.raises(DetectorError, match="there is no file of weights in"):
        find_mask2former(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(UserError, match="cannot be read as Mask2Former"):
        Mask2FormerDetector(str(tmp_path)).detect(np.zeros((32, 32, 3), np.uint8))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DetectorError, match=r"config\.json cannot be read"):
        find_mask2former(str(tmp_path))


def test_weights_that_lack_some_are_refused_instead_of_filled_with_random_numbers(
    detector_folder, changed
):
    folder = changed(detector_folder, lambda config: None)
    kept = load_file(folder / "model.safetensors")
    del kept["class_predictor.bias"]
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"it lacks 1 weights, e\.g\. class_predictor\.bias"):
        Mask2FormerDetector(str(folder)).detect(np.zeros((32, 32, 3), np.uint8))


def test_weights_of_another_model_are_refused(detector_folder, clip_folder):
    with pytest.raises(DetectorError, match="is a model of type 'clip'; expected 'mask2former'"):
        find_mask2former(str(clip_folder))
    with pytest.raises(DetectorError, match="is a model of type 'mask2former'; expected 'clip'"):
        find_clip(str(detector_folder))


def test_a_detector_of_other_classes_is_refused(detector_folder, changed):
    def panoptic(config):
        config["id2label"] |= {str(80 + i): f"stuff {i}" for i in range(53)}

    with pytest.raises(DetectorError, match="has 133 classes, of which 80 stand where COCO has"):
        find_mask2former(str(changed(detector_folder, panoptic)))

    def turned(config):
        names = [*config["id2label"].values()]
        config["id2label"] = {str(i): name for i, name in enumerate(names[::-1])}

    with pytest.raises(DetectorError, match="has 80 classes, of which 0 stand where COCO has"):
        find_mask2former(str(changed(detector_folder, turned)))


def test_classes_may_be_spelt_otherwise(detector_folder, changed):
    other = {"couch": "sofa", "tv": "tvmonitor", "teddy bear": "teddy_bear", "tv remote": "remote"}

    def spelt(config):
        names = config["id2label"]
        config["id2label"] = {key: other.get(name, name) for key, name in names.items()}

    find_mask2former(str(changed(detector_folder, spelt)))


@pytest.mark.parametrize("tower", ["text_config", "vision_config"])
def test_a_clip_with_another_activation_is_refused(clip_folder, changed, tower):
    folder = changed(clip_folder, lambda config: config[tower].update(hidden_act="gelu"))
    with pytest.raises(DetectorError, match=f"its {tower} has the activation 'gelu'; .*OpenAI's"):
        find_clip(str(folder))


def test_so_is_one_in_open_clips_layout(clip_folder, tmp_path):
    """Its tensors do not tell, and open_clip only warns."""
    network = CLIPModel.from_pretrained(clip_folder)
    assert find_clip(str(write_open_clip(network, tmp_path / "openai")))
    network.config.text_config.hidden_act = "gelu"
    folder = write_open_clip(network, tmp_path / "other")
    with pytest.raises(DetectorError, match=r"open_clip_config\.json has the activation 'gelu'; "):
        find_clip(str(folder))


def test_a_clip_of_pictures_standardised_otherwise_is_refused(clip_folder, changed):
    folder = changed(clip_folder, lambda config: None)
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0.5, 0.5, 0.5]}')
    with pytest.raises(UserError, match="another mean and deviation than OpenAI's CLIP"):
        find_clip(str(folder))
