import pytest

from tdmr1.missing import remedy


def missing(name):
    return ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.fixture
def mine(install, tmp_path):
    """A package that requires two others, which are not there."""
    install("tdmr1-reward-mine", ["mine"], code="")
    requirements = (
        "Requires-Dist: no_such.engine <3,>=2",
        "Requires-Dist: scikit-image; x == 'y'",
    )
    with (tmp_path / "tdmr1_reward_mine-1.2.dist-info" / "METADATA").open("a") as file:
        file.writelines(f"{line}\n" for line in requirements)


def test_a_missing_module_is_its_own_package_s(mine):
    assert remedy(missing("no_such_engine.deep")) == 'pip install "no_such_engine"'
    assert remedy(missing("sklearn.svm")) == 'pip install "scikit-learn"'


def test_what_the_distribution_requires_says_which_version(mine):
    found = remedy(missing("no_such_engine"), "tdmr1-reward-mine")
    assert found == 'pip install "no_such.engine <3,>=2"'
    assert remedy(missing("skimage"), "tdmr1-reward-mine") == 'pip install "scikit-image"'


def test_a_distribution_s_own_module_and_other_errors_want_it_anew(mine):
    again = "pip install --force-reinstall tdmr1-reward-mine"
    assert remedy(missing("tdmr1_reward_mine"), "tdmr1-reward-mine") == again
    assert remedy(ValueError(), "tdmr1-reward-mine") == again
    assert remedy(ValueError()) == ""


def test_a_module_that_its_package_no_longer_has_wants_another_version():
    found = remedy(missing("numpy.no_such"), "tdmr1-reward-ocr")
    assert found == "pip install --upgrade numpy"


def test_a_name_that_is_none_is_never_a_part_of_a_command():
    assert remedy(missing("x; rm -r y")) == remedy(missing(None)) == ""


def test_in_an_environment_of_its_own_pip_is_told_which(monkeypatch):
    monkeypatch.setenv("TDMR1_ENVIRONMENT", "ocr")
    monkeypatch.setattr("sys.prefix", "/home/ocr")
    assert remedy(missing("gap")) == 'pip --python /home/ocr install "gap"'
