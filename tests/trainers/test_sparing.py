"""What to set where memory runs out."""

import pytest

from tdmr1.trainers.config import DistillConfig, TrainConfig
from tdmr1.trainers.sparing import next_setting

GROUPS = {"groups": 8, "group_size": 4, "batch": 16, "parts": 2}


@pytest.mark.parametrize(
    ("method", "processes", "expected"),
    [
        (GROUPS, 1, "method.micro_batch=8"),
        (GROUPS, 4, "method.micro_batch=2"),
        ({**GROUPS, "micro_batch": 2}, 4, "method.micro_batch=1"),
        ({**GROUPS, "micro_batch": 1}, 4, "method.gradient_checkpointing=true"),
        ({**GROUPS, "micro_batch": 1, "gradient_checkpointing": True}, 4, None),
    ],
)
def test_it_is_less_than_one_process_has_at_a_time(method, processes, expected):
    assert next_setting(TrainConfig(method=method), processes) == expected


def test_a_distillation_shares_its_prompts():
    assert next_setting(DistillConfig(method={"batch": 32}), 2) == "method.micro_batch=8"


@pytest.mark.parametrize(("batch", "expected"), [(16, "gradient_ch"), (32, "micro_batch=2")])
def test_a_network_in_shares_is_not_given_micro_batches_that_it_refuses(batch, expected):
    config = TrainConfig(shard=True, method={**GROUPS, "batch": batch})
    assert next_setting(config, 4).startswith(f"method.{expected}")
