import dataclasses
import json
import math

import numpy as np
import pytest

from tdmr1.errors import UserError
from tdmr1.rewards import CONTRACT_VERSION, Sample, Score
from tdmr1.rewards.errors import RewardBroken, RewardError, RewardFailed, RewardRefused
from tdmr1.rewards.places import messages
from tdmr1.rewards.places.base import RewardInfo
from tdmr1.rewards.places.wire import FrameInvalid, encode, read_frame

INFO = RewardInfo("stub", (0.0, 1.0), version="1.2")
TWO = [Sample(np.zeros((1, 1, 3), np.uint8), f"prompt {i}") for i in range(2)]


def sent(header):
    return read_frame(b"".join(encode(header)))[0]


@pytest.mark.parametrize(
    "info",
    [
        INFO,
        RewardInfo("./my.py:f", (-math.inf, math.inf), repeatable=False),
        RewardInfo("up", (-1.0, math.inf), higher_is_better=False, options={"side": [1, 2]}),
    ],
)
def test_an_introduction_arrives_as_it_was_sent(info):
    assert messages.read_info(sent(messages.info_message(info)), info.name) == info


def test_another_reward_or_contract_is_refused():
    with pytest.raises(RewardRefused, match="asked for reward 'ocr', and found reward 'stub'"):
        messages.read_info(messages.info_message(INFO), "ocr")
    later = dataclasses.replace(INFO, contract=CONTRACT_VERSION + 1)
    with pytest.raises(RewardRefused, match="install the same version of tdmr1 on both sides"):
        messages.read_info(messages.info_message(later), "stub")


@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"range": 3},
        {"range": [0]},
        {"range": ["0", 1]},
        {"range": [0, 10**400]},
        {"range": [False, True]},
        {"repeatable": None},
        {"version": 2},
        {"contract": "1"},
        {"options": [1]},
    ],
)
def test_an_introduction_that_is_none_is_nonsense(change):
    header = messages.info_message(INFO)
    header["info"] |= change
    with pytest.raises(FrameInvalid):
        messages.read_info(json.loads(json.dumps(header)), "stub")
    with pytest.raises(FrameInvalid):
        messages.read_info({}, "stub")


def test_scores_arrive_checked():
    header = sent(messages.scores_message([Score(0.5, "so", True), None]))
    assert messages.read_scores(header, TWO, INFO) == [Score(0.5, "so", True), None]


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"scores": []},
        {"scores": [None]},
        {"scores": [None, None, None]},
        messages.scores_message([Score(0.5), Score(1.5)]),
        json.loads('{"scores": [null, {"value": 1e999, "reason": "", "passed": null}]}'),
    ],
)
def test_other_scores_than_were_asked_for_are_nonsense(header):
    with pytest.raises(FrameInvalid):
        messages.read_scores(header, TWO, INFO)


def test_an_error_keeps_type_and_text():
    header = sent(messages.error_message(RewardFailed("reward 'stub' failed: KeyError: 'x'")))
    with pytest.raises(RewardFailed, match="reward 'stub' failed: KeyError: 'x'"):
        messages.read_scores(header, TWO, INFO)
    with pytest.raises(RewardBroken, match="cannot be imported"):
        messages.read_info(messages.error_message(RewardBroken("cannot be imported")), "stub")


def test_an_error_of_a_type_of_its_own_is_a_reward_s_error():
    class Own(UserError):
        pass

    with pytest.raises(RewardError, match="buy a licence"):
        messages.read_info(messages.error_message(Own("buy a licence")), "stub")


@pytest.mark.parametrize(
    "error", ["text", {}, {"kind": "SystemExit", "text": ""}, {"kind": "RewardFailed", "text": 3}]
)
def test_an_error_that_is_none_is_nonsense(error):
    with pytest.raises(FrameInvalid, match="an error of an unknown kind"):
        messages.read_scores({"error": error}, TWO, INFO)
