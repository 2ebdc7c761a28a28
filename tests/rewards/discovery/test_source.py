import sys

import pytest

from tdmr1.rewards import Reward
from tdmr1.rewards.discovery.function import FunctionReward
from tdmr1.rewards.discovery.source import source_of
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardBroken


def of(name, reads=None, **options):
    function = len if reads is None else lambda samples: []
    if reads is not None:
        function.reads = reads
    return source_of(RewardSpec(name), FunctionReward(name, function), options)


class Packaged(Reward):
    name = "red"

    def score(self, samples):
        return [0.5] * len(samples)


def installed(name="red"):
    return source_of(RewardSpec(name), Packaged(), {})


@pytest.fixture
def file(tmp_path):
    """A reward's file, with a module, a folder and a file beside it."""
    (tmp_path / "my.py").write_text("import helper_beside\ndef score(samples): ...")
    (tmp_path / "helper_beside.py").write_text("SCALE = 1")
    (tmp_path / "palette.npy").write_bytes(b"1")
    (tmp_path / "weights" / "deep").mkdir(parents=True)
    (tmp_path / "weights" / "deep" / "part").write_bytes(b"1")
    return f"{tmp_path}/my.py:score"


@pytest.mark.parametrize(
    ("change", "matters"),
    [
        ("my.py", True),
        ("helper_beside.py", True),
        ("palette.npy", True),
        ("weights/deep/part", True),
        ("another.py", False),
    ],
)
def test_a_file_is_what_it_is_what_it_imports_and_what_it_says_it_reads(
    file, tmp_path, change, matters
):
    reads = ("palette.npy", "weights")
    before = of(file, reads)
    assert before.complete
    assert before == of(file, reads)
    (tmp_path / change).write_text("SCALE = 2")
    assert (of(file, reads).digest != before.digest) is matters


def test_of_a_function_that_does_not_say_what_it_reads_not_all_is_known(file):
    assert not of(file).complete
    assert of(file, ()).complete


@pytest.mark.parametrize("reads", ["palette.npy", (1,), 3])
def test_what_it_reads_is_a_tuple_of_paths(file, reads):
    with pytest.raises(RewardBroken, match=r"`reads` of reward .*; write a tuple of paths"):
        of(file, reads)


def test_what_it_says_it_reads_has_to_be_there(file, tmp_path):
    with pytest.raises(RewardBroken, match=r"reads gone\.npy, and there is no .*/gone\.npy"):
        of(file, ("gone.npy",))
    with pytest.raises(RewardBroken, match="cannot read"):
        (tmp_path / "closed").mkdir()
        (tmp_path / "closed" / "loop").symlink_to("/proc/self/mem")
        of(file, ("closed",))


def test_an_option_that_names_a_file_counts_with_its_content(file, tmp_path):
    path = str(tmp_path / "palette.npy")
    before = of(file, (), palette=path, gain=2.0)
    (tmp_path / "palette.npy").write_bytes(b"2")
    assert of(file, (), palette=path, gain=2.0) != before
    assert of(file, (), palette="no/such", gain=2.0) == of(file, ())


def test_an_installed_reward_is_its_code_and_what_its_package_ships(install, tmp_path):
    install("tdmr1-reward-red", ["red"], code="raise RuntimeError('imported')")
    info = tmp_path / "tdmr1_reward_red-1.2.dist-info"
    (tmp_path / "red.bin").write_bytes(b"1")
    (info / "RECORD").write_text("tdmr1_reward_red.py,,\nred.bin,,\n../../bin/red,,\n")
    before = installed()
    assert before.complete
    assert before == installed()
    (tmp_path / "red.bin").write_bytes(b"2")
    shipped = installed()
    assert shipped != before
    (tmp_path / "tdmr1_reward_red.py").write_text("raise RuntimeError('again')")
    assert installed() not in (before, shipped)


def test_another_version_of_what_it_requires_is_another_source(install, tmp_path):
    install("tdmr1-reward-red", ["red"], code="")
    install("some-engine", [], code="")
    install("its-extra", [], code="")
    for name, requirement in (
        ("tdmr1_reward_red", "Some.Engine[fast] >=1; python_version > '3'"),
        ("some_engine", 'its_extra; extra == "fast"'),
        ("some_engine", 'never; extra == "slow"'),
    ):
        with (tmp_path / f"{name}-1.2.dist-info" / "METADATA").open("a") as file:
            file.write(f"Requires-Dist: {requirement}\n")
    before = installed()
    metadata = tmp_path / "its_extra-1.2.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.2", "Version: 1.3"))
    assert installed() != before


def test_so_is_another_version_of_what_an_extra_of_it_requires(install, tmp_path):
    install("tdmr1-reward-red", ["red"], code="")
    install("engine", [], code="")
    with (tmp_path / "tdmr1_reward_red-1.2.dist-info" / "METADATA").open("a") as file:
        file.write("Provides-Extra: fast\nRequires-Dist: engine; extra == 'fast'\n")
        file.write("Provides-Extra: slow\nRequires-Dist: never; extra == 'slow'\n")
    before = installed()
    metadata = tmp_path / "engine-1.2.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.2", "Version: 1.3"))
    assert installed() != before


@pytest.mark.parametrize("name", ["identified.red:score", "identified.deep.blue:score"])
def test_a_package_is_all_of_its_code(tmp_path, monkeypatch, name):
    folder = tmp_path / "identified" / "deep"
    folder.mkdir(parents=True)
    for file in ("__init__.py", "red.py", "deep/__init__.py", "deep/blue.py", "deep/helper.py"):
        (folder.parent / file).write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    before = of(name)
    (folder / "helper.py").write_text("SCALE = 2")
    assert of(name) != before
    assert "identified" not in sys.modules


@pytest.mark.parametrize("change", ["plain/red.py", "plain/palette.py", "of_all.py"])
def test_a_module_in_a_plain_folder_is_its_code_and_what_it_imports_from_there(
    tmp_path, monkeypatch, change
):
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "red.py").write_text("import plain.palette, of_all")
    for file in ("plain/palette.py", "of_all.py"):
        (tmp_path / file).write_text("SCALE = 1")
    monkeypatch.syspath_prepend(tmp_path)
    before = of("plain.red:score", ())
    assert before == of("plain.red:score", ())
    with (tmp_path / change).open("a") as file:
        file.write("\nSCALE = 2")
    assert of("plain.red:score", ()) != before


def test_a_package_is_also_what_it_imports_from_beside_it(tmp_path, monkeypatch):
    (tmp_path / "identified").mkdir()
    (tmp_path / "identified" / "__init__.py").write_text("")
    (tmp_path / "identified" / "red.py").write_text("import of_all")
    (tmp_path / "of_all.py").write_text("SCALE = 1")
    monkeypatch.syspath_prepend(tmp_path)
    before = of("identified.red:score", ())
    (tmp_path / "of_all.py").write_text("SCALE = 2")
    assert of("identified.red:score", ()) != before


def test_what_it_reads_is_relative_to_the_file_of_the_module(tmp_path, monkeypatch):
    folder = tmp_path / "identified" / "deep"
    folder.mkdir(parents=True)
    for file in (folder.parent / "__init__.py", folder / "__init__.py", folder / "blue.py"):
        file.write_text("")
    (folder / "palette.npy").write_bytes(b"1")
    monkeypatch.syspath_prepend(tmp_path)
    before = of("identified.deep.blue:score", ("palette.npy",))
    (folder / "palette.npy").write_bytes(b"2")
    assert of("identified.deep.blue:score", ("palette.npy",)) != before


def test_a_module_without_files_has_no_code():
    assert of("builtins:len") == of("builtins:len")
