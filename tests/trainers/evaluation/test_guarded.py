import numpy as np
import pytest

from tdmr1.errors import UserError
from tdmr1.trainers.config import TrainConfig, build_config
from tdmr1.trainers.evaluation.compare import dark, edge_density, saturated
from tdmr1.trainers.evaluation.guarded import Limit, compared, gain, limit_of, outside
from tdmr1.trainers.limits import GuardOptions

START = {
    "colour/entropy": 0.9,
    "colour/tv": 0.0,
    "diversity": 0.4,
    "recall": 1.0,
    "sharpness": 0.2,
    "edge_density": 0.0,
    "dark": 0.1,
    "tint": 0.02,
}


def beyond(**changes):
    """The figures outside the default limits, where some are others than at first."""
    now = {**START, **{name.replace("_entropy", "/entropy"): v for name, v in changes.items()}}
    return list(outside(compared(now, START), GuardOptions()))


def test_what_is_as_at_first_is_inside():
    assert beyond() == []


@pytest.mark.parametrize(
    ("changes", "figure"),
    [
        ({"colour_entropy": 0.7}, "colour/entropy"),
        ({"diversity": 0.3}, "diversity"),
        ({"recall": 0.6}, "recall"),
        ({"sharpness": 0.1}, "sharpness"),
        ({"sharpness": 0.3}, "sharpness"),
        ({"edge_density": 0.1}, "edge_density"),
        ({"dark": 0.2}, "dark"),
        ({"tint": 0.1}, "tint"),
    ],
)
def test_a_figure_that_has_gone_too_far_is_outside(changes, figure):
    assert beyond(**changes) == [figure]


def test_what_may_only_fall_or_only_rise_is_free_the_other_way():
    assert beyond(colour_entropy=1.0, diversity=0.9, dark=0.0) == []


def test_what_is_seen_nowhere_any_more_has_lost_its_variety():
    now = {name: value for name, value in START.items() if "colour" not in name}
    values = compared(now, START)
    assert values["colour/entropy"] < 0.01
    assert values["colour/tv"] == 1
    assert "diversity" not in compared({}, START)  # that cannot be told


def test_a_reward_falls_by_standard_deviations_of_its_first_scores():
    limit = limit_of("reward/hps", GuardOptions())
    assert limit.holds(gain(0.26, 0.28, 0.1))
    assert not limit.holds(gain(0.24, 0.28, 0.1))
    assert limit.holds(gain(9.0, 0.28, 0.1))
    assert np.isfinite(gain(0.2, 0.3, 0.0))


def test_limits_are_options_and_none_switches_one_off():
    config = build_config(
        TrainConfig, settings=["guard.sharpness=0.8", "guard.recall=none"], preset="shapes-train"
    )
    assert limit_of("sharpness", config.guard) == Limit("band", 0.8)
    assert limit_of("recall", config.guard) is None
    for name in ("guard.sharpnes=0.8", "guard.sharpness=1.2", "guard.action=shout"):
        with pytest.raises(UserError, match=name.partition("=")[0]):
            build_config(TrainConfig, settings=[name], preset="shapes-train")


def test_pixels_are_dark_saturated_or_at_an_edge():
    picture = np.zeros((4, 4, 3), np.uint8)
    assert (dark(picture), saturated(picture), edge_density(picture)) == (1, 0, 0)
    picture[:, 2:] = (255, 0, 0)
    assert (dark(picture), saturated(picture)) == (0.5, 0.5)
    assert edge_density(picture) == pytest.approx(1 / 3)
    assert edge_density(picture[:1, :1]) == 0
