import contextlib
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from tdmr1.rewards import Sample, Score
from tdmr1.rewards.discovery.beside import make_importable, modules_beside
from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardBroken
from tdmr1.rewards.places.opening import open_place

SAMPLE = Sample(np.zeros((2, 2, 3), np.uint8), "x")


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file; what is imported during the test is forgotten after it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)

    def write(name, code=""):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code))
        return path

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def names(found, folder):
    return {name: [str(p.relative_to(folder)) for p in files] for name, files in found.items()}


def test_what_a_file_imports_from_its_folder_is_found_without_importing_it(write, tmp_path):
    main = write(
        "my.py",
        """
        import json, numpy, beside_one
        def score(samples):
            from beside_package.deep import thing
            from beside_plain import other
            importlib.import_module("beside_late.part")
            __import__("beside_last")
        """,
    )
    write("beside_one.py", "import beside_two\n1 / 0")
    write("beside_two.py", "import my, beside_one")
    write("beside_package/__init__.py")
    write("beside_package/deep.py", "from . import x\nimport beside_three")
    write("beside_three.py", "def broken(:")
    write("beside_plain/other.py")
    write("beside_late.py")
    write("beside_last.py")
    write("not_imported.py")
    write("numpy/notes.txt")
    assert names(modules_beside([main], tmp_path), tmp_path) == {
        "my": ["my.py"],
        "beside_one": ["beside_one.py"],
        "beside_two": ["beside_two.py"],
        "beside_three": ["beside_three.py"],
        "beside_package": ["beside_package/__init__.py", "beside_package/deep.py"],
        "beside_plain": ["beside_plain/other.py"],
        "beside_late": ["beside_late.py"],
        "beside_last": ["beside_last.py"],
    }


@pytest.mark.parametrize("place", ["here", "worker"])
def test_a_module_beside_can_be_imported_also_when_it_is_needed_first(write, place):
    main = write(
        "my.py",
        """
        from beside_scale import SCALE
        def score(samples):
            from beside_late import add
            return [add(SCALE)] * len(samples)
        """,
    )
    write("beside_scale.py", "SCALE = 2")
    write("beside_late.py", "def add(value): return value + 1")
    with contextlib.closing(open_place(RewardSpec.parse(f"{main}:score@{place}"))) as opened:
        assert opened.score([SAMPLE]) == [Score(3.0)]


def test_a_plain_folder_is_found_after_its_import_too(write, tmp_path):
    main = write("my.py", "import beside_folder.other\ndef score(samples): return [1.0]")
    write("beside_folder/other.py")
    load(RewardSpec(f"{main}:score"))
    found = modules_beside([main], tmp_path)
    assert names(found, tmp_path) == {"beside_folder": ["beside_folder/other.py"]}


def test_the_folder_takes_no_name_from_what_others_import(write, tmp_path):
    make_importable(write("my.py", "import beside_one"))
    write("colorsys.py", "1 / 0")
    code = f"import sys; sys.path[:] = {sys.path!r}; import colorsys; print(colorsys.__file__)"
    found = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert sys.path[-1] == str(tmp_path)
    assert str(tmp_path) not in found


def test_two_modules_of_one_name_are_refused_whichever_would_win(write):
    first = write("a/my.py", "import beside_helper\ndef score(samples): return [1.0]")
    write("a/beside_helper.py")
    second = write("b/my.py", "def score(samples):\n    import beside_helper\n    return [2.0]")
    write("b/beside_helper.py")
    assert load(RewardSpec(f"{first}:score")).score([SAMPLE]) == [1.0]
    assert load(RewardSpec(f"{first}:score")).score([SAMPLE]) == [1.0]
    with pytest.raises(RewardBroken, match=r"imports 'beside_helper', .* is also .*rename"):
        load(RewardSpec(f"{second}:score"))
    for letter in "de":
        write(f"{letter}/beside_folder/x.py")
        write(f"{letter}/my.py", "import beside_folder.x\ndef score(samples): return [1.0]")
    load(RewardSpec(f"{first.parent.parent}/d/my.py:score"))
    with pytest.raises(RewardBroken, match=r"imports 'beside_folder', .*/e/.* is also .*/d/"):
        load(RewardSpec(f"{first.parent.parent}/e/my.py:score"))
    write("c/json.py")
    with pytest.raises(RewardBroken, match=r"imports 'json', .*c/json\.py, and is also .*json"):
        make_importable(write("c/my.py", "import json"))
