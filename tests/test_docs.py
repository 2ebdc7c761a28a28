"""The code in the documents does what they say."""

import re
import sys
from pathlib import Path

import pytest

from tdmr1.rewards.checks.suite import checking
from tdmr1.rewards.discovery.spec import RewardSpec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
NO_GOLDENS = {"tells good from bad"}
OF_FUNCTION = NO_GOLDENS | {"judges what it scores", "range kept"}
"""What a function gives nothing to check of."""


def blocks(document):
    """File name in its first line -> code, of the document's Python."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return dict(re.findall(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL))


@pytest.mark.parametrize(
    ("document", "file", "attribute", "unchecked"),
    [
        ("README.md", "tdmr1_reward_red.py", "Red", NO_GOLDENS),
        ("docs/writing-a-reward.md", "my.py", "score", OF_FUNCTION),
        ("docs/writing-a-reward.md", "unlike.py", "unlike", OF_FUNCTION),
        ("docs/writing-a-reward.md", "tdmr1_reward_contrast.py", "ContrastReward", set()),
    ],
)
def test_the_rewards_of_the_documents_hold_to_the_contract(
    tmp_path, document, file, attribute, unchecked
):
    (tmp_path / file).write_text(blocks(document)[file])
    findings = dict(checking(RewardSpec(f"{tmp_path / file}:{attribute}"), {}))
    wanted = {name: "not checked" if name in unchecked else "passed" for name in findings}
    assert {name: found.status for name, found in findings.items()} == wanted


def test_the_package_of_the_readme_can_be_installed():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (project,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert tomllib.loads(project)["project"].keys() >= {"name", "version", "entry-points"}
