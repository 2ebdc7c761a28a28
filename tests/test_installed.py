"""What is installed, as `importlib.metadata` tells it, without reading it again and again."""

import importlib
import os
import shutil
import sys
from importlib import metadata

import pytest

from tdmr1.installed import entry_points, owners


@pytest.mark.parametrize("group", ["tdmr1.rewards", "tdmr1.generators", "console_scripts"])
def test_entry_points_are_those_of_the_library(group):
    told = [(e.name, e.value, e.dist.name) for e in entry_points(group)]
    expected = {(e.name, e.value, e.dist.name) for e in metadata.entry_points(group=group)}
    assert len(told) == len(set(told))
    assert set(told) == expected != set()


@pytest.mark.parametrize("module", ["torch", "PIL", "tdmr1", "tdmr1_shapes", "yaml", "nothing"])
def test_owners_are_those_of_the_library(module):
    assert set(owners(module)) == set(metadata.packages_distributions().get(module, ()))


def test_what_comes_and_goes_is_noticed(install, tmp_path):
    assert entry_points("tdmr1.tests") == []
    install("some-package", ["one", "two"], group="tdmr1.tests")
    assert [entry.name for entry in entry_points("tdmr1.tests")] == ["one", "two"]
    shutil.rmtree(tmp_path / "some_package-1.2.dist-info")
    assert entry_points("tdmr1.tests") == []


def test_of_two_copies_the_first_on_the_path_counts(install, tmp_path, monkeypatch):
    install("some-package", ["first"], group="tdmr1.tests")
    install("another", ["other"], group="tdmr1.tests")
    copies = tmp_path / "copies"
    shutil.copytree(tmp_path / "some_package-1.2.dist-info", copies / "Some.Package-2.dist-info")
    later = "Metadata-Version: 2.1\nName: Some.Package\nVersion: 2\n"
    (copies / "Some.Package-2.dist-info" / "METADATA").write_text(later)
    monkeypatch.setattr(sys, "path", [*sys.path, str(copies)])
    importlib.invalidate_caches()
    versions = {entry.name: entry.dist.version for entry in entry_points("tdmr1.tests")}
    assert versions == {"first": "1.2", "other": "1.2"}


def test_a_folder_is_read_once(install, tmp_path):
    install("some-package", ["one"], group="tdmr1.tests")
    assert len(entry_points("tdmr1.tests")) == 1
    text = tmp_path / "some_package-1.2.dist-info" / "entry_points.txt"
    changed = os.stat(tmp_path).st_mtime_ns
    text.write_text("")
    assert os.stat(tmp_path).st_mtime_ns == changed
    assert len(entry_points("tdmr1.tests")) == 1
