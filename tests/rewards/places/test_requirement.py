import json

import pytest

from tdmr1.rewards.errors import EnvironmentFailed
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
            {"url": "file:///src/some%20thing", "dir_info": {"editable": True}},
            "/src/some thing",
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
    assert base_requirement().startswith(("/", "tdmr1 @ ", "tdmr1=="))


def test_a_plugin_is_what_is_named_or_installed_or_published(install, tmp_path, monkeypatch):
    install("tdmr1-reward-mine", ["mine", "more"], code="")
    assert plugin_requirement("more") == "tdmr1-reward-mine==1.2"
    assert plugin_requirement("other") == "tdmr1-reward-other"
    assert plugin_requirement("mine", "mine>=2") == "mine>=2"
    monkeypatch.chdir(tmp_path)
    assert plugin_requirement("mine", ".") == str(tmp_path)
    assert plugin_requirement("more", extras=["gpu"]) == "tdmr1-reward-mine[gpu]==1.2"
    assert plugin_requirement("other", extras=["gpu", "x"]) == "tdmr1-reward-other[gpu,x]"
    assert plugin_requirement("mine", ".", ["gpu"]) == f"{tmp_path}[gpu]"
    install("tdmr1-reward-same", ["mine"], code="")
    assert plugin_requirement("mine") == "tdmr1-reward-mine"


@pytest.mark.parametrize(
    ("source", "requirement"),
    [
        ("mine", "mine[gpu]"),
        ("mine>=2", "mine[gpu]>=2"),
        ("mine[x]>=2", "mine[x,gpu]>=2"),
        ("mine [x, gpu]", "mine[x,gpu]"),
        ("mine @ git+https://host/mine.git", "mine[gpu] @ git+https://host/mine.git"),
    ],
)
def test_extras_are_added_to_those_that_a_source_names(source, requirement):
    assert plugin_requirement("mine", source, ["gpu"]) == requirement


@pytest.mark.parametrize("url", ["https://host/mine.whl", "git+ssh://git@host/mine.git@1.2"])
def test_a_url_alone_takes_no_extras(url):
    assert plugin_requirement("mine", url) == url
    with pytest.raises(EnvironmentFailed) as caught:
        plugin_requirement("mine", url, ["gpu"])
    assert str(caught.value).endswith(f"write --from 'PACKAGE[gpu] @ {url}'")
