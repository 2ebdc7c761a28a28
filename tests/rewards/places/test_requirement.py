import json

import pytest

from tdmr1.rewards.places.requirement import (
    base_requirement,
    plugin_requirement,
    requirement_of,
)


class Installed:
    """What `importlib.metadata` knows of a distribution."""

    name, version = "thing", "1.2"

    def __init__(self, origin=None):
        self.origin = origin

    def read_text(self, name):
        return json.dumps(self.origin) if self.origin and name == "direct_url.json" else None


@pytest.mark.parametrize(
    ("origin", "requirement"),
    [
        (None, "thing==1.2"),
        (
            {"url": "file:///src/thing", "dir_info": {"editable": True}},
            "thing @ file:///src/thing",
        ),
        (
            {"url": "https://host/thing.whl", "archive_info": {}},
            "thing @ https://host/thing.whl",
        ),
        (
            {
                "url": "https://host/thing.git",
                "vcs_info": {"vcs": "git", "commit_id": "abc", "requested_revision": "main"},
                "subdirectory": "python",
            },
            "thing @ git+https://host/thing.git@abc#subdirectory=python",
        ),
    ],
)
def test_the_same_is_installed_from_where_this_came(origin, requirement):
    assert requirement_of(Installed(origin)) == requirement


def test_the_base_is_this_version():
    assert base_requirement().startswith(("tdmr1 @ ", "tdmr1=="))


def test_a_plugin_is_what_is_named_or_installed_or_published(install, tmp_path, monkeypatch):
    install("tdmr1-reward-mine", ["mine", "more"], code="")
    assert plugin_requirement("more") == "tdmr1-reward-mine==1.2"
    assert plugin_requirement("other") == "tdmr1-reward-other"
    assert plugin_requirement("mine", "mine>=2") == "mine>=2"
    monkeypatch.chdir(tmp_path)
    assert plugin_requirement("mine", ".") == str(tmp_path)
    install("tdmr1-reward-same", ["mine"], code="")
    assert plugin_requirement("mine") == "tdmr1-reward-mine"
