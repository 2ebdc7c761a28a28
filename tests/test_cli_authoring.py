import json
import textwrap

import pytest

CODE = """
    import os
    from tdmr1.rewards import Golden, Reward, Weights, hookimpl

    class Red(Reward):
        name = "red"
        summary = "How red it is"
        weights = (
            Weights("large", "MIT", 890, "https://example.org"),
            Weights("[small]", "Apache-2.0", 0, "its wheel"),
        )

        def __init__(self, gain: float = 1.0, channel: int = 0):
            print("loading")
            self.gain, self.channel = gain, channel

        def score(self, samples):
            print("scoring")
            return [self.gain * s.image[..., self.channel].mean() / 255 for s in samples]

    @hookimpl
    def register_rewards(register):
        register("red", Red)
"""


@pytest.fixture
def red(install):
    install("tdmr1-reward-red", ["red"], code=CODE, keywords="tdmr1-contract-1")


def rows(out):
    return [" ".join(line.split()) for line in out.splitlines()]


def test_info_is_a_table(tdmr1, red):
    status, out, _ = tdmr1("rewards", "info", "red")
    assert status == 0
    for row in (
        "distribution tdmr1-reward-red 1.2",
        "range 0 to 1, higher is better",
        "needs any image and prompt",
        "weights large (MIT, 890 MB) from https://example.org",
        "[small] (Apache-2.0, no download) from its wheel",
        "options gain = 1.0",
        "channel = 0",
    ):
        assert row in rows(out)


def test_info_for_programs(tdmr1, red):
    found = json.loads(tdmr1("rewards", "info", "red", "--json")[1])
    assert found["range"] == [0, 1]
    assert found["options"][1] == {"name": "channel", "default": 0}
    assert found["weights"][0]["megabytes"] == 890


def test_info_of_a_function_in_a_file(tdmr1, tmp_path):
    (tmp_path / "my.py").write_text("def score(samples):\n    'How red.'\n")
    _, out, _ = tdmr1("rewards", "info", f"{tmp_path}/my.py:score")
    assert "range -inf to inf, higher is better" in rows(out)
    assert "distribution none" in rows(out)
    assert "reads not stated" in rows(out)
    with (tmp_path / "my.py").open("a") as file:
        file.write("score.reads = ('a.npy', 'b')")
    _, out, _ = tdmr1("rewards", "info", f"{tmp_path}/my.py:score")
    assert "reads a.npy" in rows(out)


def test_check_is_a_table_and_passes(tdmr1, red):
    status, out, _ = tdmr1("rewards", "check", "red")
    assert status == 0
    assert "range kept passed 0 to 1, of 0 to 1" in rows(out)
    assert any(
        row.startswith("tells good from bad not checked it has no golden") for row in rows(out)
    )
    assert "loading" not in out


def test_check_for_programs_fails_with_an_exit_status(tdmr1, red):
    status, out, _ = tdmr1("rewards", "check", "red", "--option", "gain=2", "--json")
    report = json.loads(out)
    assert status == 1
    assert (report["reward"], report["passed"]) == ("red", False)
    assert report["checks"]["range kept"]["status"] == "failed"
    assert report["checks"]["order kept"]["status"] == "passed"
    assert report["checks"]["latency"]["figures"]["ms_per_image_at_32"] > 0


def test_check_of_a_broken_reward_fails(tdmr1, install):
    install("tdmr1-reward-bad", ["bad"], code="raise RuntimeError('no GPU')")
    status, out, _ = tdmr1("rewards", "check", "bad", "--json")
    assert status == 1
    assert "RuntimeError: no GPU" in json.loads(out)["checks"]["loads"]["text"]


def test_check_of_a_function_in_a_file(tdmr1, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = """
        def score(samples, *, channel=0):
            return [float(sample.image[..., channel].mean()) for sample in samples]
    """
    (tmp_path / "my.py").write_text(textwrap.dedent(code))
    arguments = ["rewards", "check", "./my.py:score", "--option", "channel=2", "--json"]
    status, out, _ = tdmr1(*arguments)
    assert status == 0
    assert json.loads(out)["checks"]["range kept"]["status"] == "not checked"


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ("import ctypes; ctypes.string_at(0)", "was ended by SIGSEGV"),
        ("os.write(1, b'no licence'); os._exit(0)", "ended with exit status 0"),
    ],
)
def test_check_of_a_reward_that_ends_its_process_is_a_table_that_says_so(
    tdmr1, install, action, says
):
    code = CODE.replace('print("scoring")', f"if not samples: {action}")
    install("tdmr1-reward-red", ["red"], code=code, keywords="tdmr1-contract-1")
    status, out, _ = tdmr1("rewards", "check", "red", "--json")
    report = json.loads(out)
    assert (status, report["passed"]) == (1, False)
    found = report["checks"]
    assert found["one pixel"]["status"] == "passed"
    assert found["empty batch"]["status"] == "failed"
    text = found["empty batch"]["text"]
    assert f"the process of reward 'red' {says} while it should be checked" in text
    assert "its last lines of output:" in text
    assert found["latency"]["text"] == "its process ended in an earlier check"
    assert tdmr1("rewards", "check", "red")[:1] == (1,)


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(1000)",
        CODE.replace('print("loading")', "os.system('sleep 1000')"),
    ],
)
def test_check_of_a_reward_that_hangs_while_it_loads_fails_in_time(tdmr1, install, code):
    install("tdmr1-reward-red", ["red"], code=code, keywords="tdmr1-contract-1")
    status, out, _ = tdmr1("rewards", "check", "red", "--load-timeout", "0.5", "--json")
    loads, *rest = json.loads(out)["checks"].values()
    assert status == 1
    assert loads["status"] == "failed"
    assert loads["text"].startswith(
        "the process of reward 'red' did not load the reward within 0.5 s; "
        "if it is only slow, raise --load-timeout"
    )
    assert {(found["status"], found["text"]) for found in rest} == {
        ("not checked", "it does not load")
    }


@pytest.mark.parametrize("place", ["http://localhost:1", "worker", "ray"])
@pytest.mark.parametrize("command", ["info", "check"])
def test_a_reward_elsewhere_is_not_looked_at_from_here(tdmr1, red, command, place):
    status, _, err = tdmr1("rewards", command, f"red@{place}")
    assert status == 1
    assert "drop @" in err


@pytest.mark.parametrize("command", ["info", "check"])
def test_an_unknown_name_is_an_error_with_the_nearest(tdmr1, red, command):
    status, out, err = tdmr1("rewards", command, "rad")
    assert (status, out) == (1, "")
    assert "did you mean red?" in err
    assert "pip install tdmr1-reward-rad" in err


def test_a_bad_option_is_an_error_with_those_there_are(tdmr1, red):
    status, out, err = tdmr1("rewards", "check", "red", "--option", "gian=2")
    assert (status, out) == (1, "")
    assert "no option 'gian'; its options and their defaults: gain = 1.0, channel = 0" in err


def test_new_says_what_to_type_next(tdmr1, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, _ = tdmr1("rewards", "new", "fine-art", "--out", "fine")
    assert status == 0
    assert out == (
        "wrote fine\nnext: pip install -e 'fine[test]' && tdmr1 rewards check fine-art\n"
    )
    assert (tmp_path / "fine" / "tdmr1_reward_fine_art.py").is_file()
    assert tdmr1("rewards", "new", "fine-art", "--out", "fine")[0] == 1


def test_new_warns_of_a_name_that_is_installed(tdmr1, red, tmp_path):
    status, _, err = tdmr1("rewards", "new", "red", "--out", str(tmp_path / "another"))
    assert status == 0
    assert "warning: reward 'red' is installed already, by tdmr1-reward-red" in err
    assert tdmr1("rewards", "new", "no-such", "--out", str(tmp_path / "other"))[2] == ""
