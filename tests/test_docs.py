"""The code in the documents does what they say."""

import re
from pathlib import Path

import pytest

from tdmr1.rewards.checks.suite import checking
from tdmr1.rewards.discovery.spec import RewardSpec

DOCS = Path(__file__).parents[1] / "docs"


def blocks(document):
    """File name in its first line -> code, of the document's Python."""
    text = (DOCS / document).read_text(encoding="utf-8")
    return dict(re.findall(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL))


@pytest.mark.parametrize(
    ("file", "attribute", "unchecked"),
    [
        ("my.py", "score", {"tells good from bad", "range kept", "judges what it scores"}),
        ("tdmr1_reward_contrast.py", "ContrastReward", set()),
    ],
)
def test_the_rewards_of_the_guide_hold_to_the_contract(tmp_path, file, attribute, unchecked):
    (tmp_path / file).write_text(blocks("writing-a-reward.md")[file])
    findings = dict(checking(RewardSpec(f"{tmp_path / file}:{attribute}"), {}))
    wanted = {name: "not checked" if name in unchecked else "passed" for name in findings}
    assert {name: found.status for name, found in findings.items()} == wanted
