import subprocess
import sys

import numpy as np
import pytest

from tdmr1.errors import UserError
from tdmr1.rewards import Sample
from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1_reward_variety.reward import Variety


def plain(*values, size=(16, 16)):
    return [Sample(np.full((*size, 3), value, np.uint8), "a wall") for value in values]


def test_the_one_that_is_unlike_the_others_scores_best():
    dark, also_dark, light = Variety().score(plain(0, 0, 255))
    assert (dark.value, also_dark.value, light.value) == pytest.approx((0.5, 0.5, 1.0))
    assert light.reason == "mean distance 1.000 from the other 2"


def test_by_its_gain_of_vendi_score():
    dark, also_dark, light = Variety("vendi").score(plain(0, 0, 255))
    assert dark.value == also_dark.value < 0 < light.value
    assert light.reason == f"adds {light.value:.3f} to the Vendi score of the other 2"


@pytest.mark.parametrize("measure", ["distance", "vendi"])
def test_equal_pictures_bring_nothing(measure):
    scores = Variety(measure).score(plain(100, 100, 100))
    assert [score.value for score in scores] == pytest.approx([0, 0, 0], abs=1e-9)


def test_one_that_is_alone_gets_no_score():
    assert Variety().score(plain(0)) == [None]
    assert Variety().score([]) == []


def test_sizes_may_differ_within_a_group():
    together = Variety().score(plain(10, 200))
    mixed = Variety().score([*plain(10), *plain(200, size=(7, 31))])
    assert [s.value for s in mixed] == pytest.approx([s.value for s in together], abs=1e-6)


def test_an_unknown_space_is_told_those_there_are():
    with pytest.raises(UserError, match=r"features: .*'pixels'; there are: thumbnail, dinov2:"):
        load(RewardSpec("variety"), {"features": "pixels"})


def test_no_network_is_loaded_for_thumbnails():
    code = "import sys; from tdmr1_reward_variety.reward import Variety; Variety()"
    code += "; print({'torch', 'transformers', 'open_clip'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_in_the_features_of_a_network(tmp_path):
    import torch
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    Dinov2Model(config).save_pretrained(tmp_path)
    samples = [*plain(0, 0), *plain(255, size=(9, 20))]
    for measure in ("distance", "vendi"):
        reward = Variety(measure, features=f"dinov2:{tmp_path}")
        dark, also_dark, light = (score.value for score in reward.score(samples))
        assert dark == pytest.approx(also_dark, abs=1e-6)
        assert light > dark + 0.01
