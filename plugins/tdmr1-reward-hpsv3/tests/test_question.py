import importlib.metadata
import zipfile

import pytest

from tdmr1.rewards.errors import RewardError, RewardOptionInvalid
from tdmr1_reward_hpsv3.question import FILE, MARK, PLACE, read_question
from tdmr1_reward_hpsv3.small import write_wheel


def test_the_text_is_read_from_a_wheel_and_nothing_of_it_runs(tmp_path):
    wheel = write_wheel(tmp_path / "w.whl", f"How is {PLACE}?\n", f"Say: {MARK}")
    with zipfile.ZipFile(wheel) as opened:
        assert b"import deepspeed" in opened.read(FILE)  # which is not installed
    assert read_question(str(wheel)) == f"How is {PLACE}?\nSay: {MARK}"


def test_the_text_is_read_from_the_installed_package(tmp_path, monkeypatch):
    with zipfile.ZipFile(write_wheel(tmp_path / "w.whl", f"{PLACE} ", MARK)) as opened:
        opened.extractall(tmp_path)

    class Installed:
        def locate_file(self, name):
            return tmp_path / name

    monkeypatch.setattr("tdmr1_reward_hpsv3.question.distribution", lambda name: Installed())
    assert read_question("") == f"{PLACE} {MARK}"


def test_without_the_package_an_error_says_what_to_type(monkeypatch):
    def distribution(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("tdmr1_reward_hpsv3.question.distribution", distribution)
    with pytest.raises(
        RewardOptionInvalid, match=r"pip install --no-deps hpsv3==1\.0\.0; or pip download"
    ):
        read_question("")


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (("How is it?", MARK), r"lacks one \{text_prompt\}"),
        ((PLACE, "Say:"), r"lacks one <\|Reward\|>"),
        ((f"{PLACE} {MARK}", MARK), r"lacks one <\|Reward\|>"),
        ((PLACE, 3), "has no text of HPSv3"),
    ],
)
def test_another_text_is_told(tmp_path, texts, says):
    with pytest.raises(RewardError, match=rf"w\.whl {says}"):
        read_question(str(write_wheel(tmp_path / "w.whl", *texts)))


def test_what_is_no_wheel_of_it_is_told(tmp_path):
    with pytest.raises(RewardError, match=r"w\.whl is no wheel of hpsv3"):
        read_question(str(tmp_path / "w.whl"))
    with zipfile.ZipFile(tmp_path / "w.whl", "w") as wheel:
        wheel.writestr("other.py", "")
    with pytest.raises(RewardError, match=r"w\.whl is no wheel of hpsv3 \(.*data_collator_qwen"):
        read_question(str(tmp_path / "w.whl"))
