import copy
import json
import pickle
import textwrap

import numpy as np
import pytest

from tdmr1.rewards import Sample
from tdmr1.rewards.discovery.function import FunctionReward
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardFailed
from tdmr1.rewards.places.here import Here
from tdmr1.rewards.places.opening import open_place
from tdmr1.rewards.places.read_only import frozen

METADATA = {"tag": "counting", "include": [{"class": "star", "count": 3}], "size": (1, [2])}

WRITES = {
    "sample.metadata['tag'] = 'x'": "set a key",
    "del sample.metadata['tag']": "delete one",
    "sample.metadata.update(tag='x')": "update",
    "sample.metadata.pop('no', None)": "pop, of no key",
    "sample.metadata.setdefault('a', 1)": "setdefault",
    "sample.metadata.clear()": "clear",
    "sample.metadata['include'].append({})": "a nested list",
    "sample.metadata['include'] += [{}]": "grow it in place",
    "sample.metadata['include'].sort(key=str)": "sort it",
    "sample.metadata['include'][0]['count'] = 4": "a nested dict",
    "sample.metadata['size'][1][0] = 4": "a list in a tuple",
}


@pytest.mark.parametrize("write", WRITES)
def test_a_reward_that_writes_into_metadata_fails_with_what_to_do(write):
    scope = {}
    exec(f"def score(samples):\n    for sample in samples: {write}\n    return [1.0]", scope)
    sample = Sample(np.zeros((2, 2, 3), np.uint8), "x", copy.deepcopy(METADATA))
    with pytest.raises(RewardFailed, match=r"read-only; change a copy: copy\.deepcopy"):
        Here(FunctionReward("r", scope["score"])).score([sample])
    assert sample.metadata == METADATA


def test_reading_is_as_of_plain_dicts_and_lists():
    read = frozen(METADATA)
    assert read == METADATA
    assert json.loads(json.dumps(read)) == json.loads(json.dumps(METADATA))
    match read:
        case {"include": [{"class": "star", **rest}]}:
            assert rest == {"count": 3}
        case _:
            pytest.fail("it matches no pattern")
    assert read["include"] + [1] == [*METADATA["include"], 1]
    assert read | {"tag": "x"} == METADATA | {"tag": "x"}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_a_deep_copy_is_plain(copied):
    mine = copied(frozen(METADATA))
    mine["include"][0]["count"] = 4
    mine["size"][1].append(3)
    assert type(mine) is type(mine["include"][0]) is dict
    assert METADATA["include"][0]["count"] == 3
    assert type(copy.copy(frozen(METADATA))) is type(frozen(METADATA).copy()) is dict


@pytest.mark.parametrize("place", ["here", "worker"])
def test_it_is_so_wherever_the_reward_runs(tmp_path, closing, place):
    (tmp_path / "my.py").write_text(
        textwrap.dedent("""
            def score(samples):
                samples[0].metadata["include"][0]["count"] = 4
                return [1.0]
        """)
    )
    opened = closing(open_place(RewardSpec.parse(f"{tmp_path}/my.py:score@{place}")))
    sample = Sample(np.zeros((2, 2, 3), np.uint8), "x", {"include": [{"count": 3}]})
    with pytest.raises(RewardFailed, match="TypeError: a sample's metadata is read-only"):
        opened.score([sample])
