import json
from pathlib import Path

import pytest

from tdmr1.errors import UserError
from tdmr1.trainers.config import TrainConfig, build_config
from tdmr1.trainers.evaluation.claims import ARMS, CLAIMS, Arm, Claim
from tdmr1.trainers.evaluation.verdict import Check, Of
from tdmr1.trainers.loop import jobs
from tdmr1.trainers.loop.reproduce import Reproduction
from tdmr1.trainers.loop.results import Record, Results, digest
from tdmr1.trainers.loop.run import RunFolder


@pytest.fixture(scope="module")
def published():
    """(claim, arm) -> its options with the preset of the embedded generator."""
    found = {}
    for name, claim in CLAIMS.items():
        base = build_config(TrainConfig, overrides={"iterations": claim.iterations})
        done = Reproduction(name, base, (0, 1), Path("/nowhere"))
        found |= {(name, arm): (done.config(arm, 0), done) for arm in claim.arms}
    return found


def test_the_results_of_this_project_are_of_the_options_that_its_claims_have(published):
    """Otherwise they are to be measured anew, or taken away."""
    for path in (Path(__file__).parents[3] / "docs" / "results").glob("*.json"):
        for run in json.loads(path.read_text())["runs"]:
            config = published[path.stem, run["arm"]][0].model_copy(update={"seed": run["seed"]})
            assert digest(config) == run["config"], (path, run["arm"])


def test_all_arms_of_a_claim_take_the_same_budget(published):
    spent = {key: done._spent(config) for key, (config, done) in published.items()}
    for (name, arm), evaluations in spent.items():
        first = spent[name, CLAIMS[name].arms[0]]
        assert evaluations == pytest.approx(first, rel=0.01), (name, arm)


def test_an_arm_is_the_same_run_in_every_claim(published):
    seen = {}
    for (_, arm), (config, _) in published.items():
        assert seen.setdefault(arm, config) == config, arm
    assert len({seen[arm].method.model_dump_json() for arm in ("main", "geneval", "ocr")}) == 1


def test_an_arm_of_another_kind_has_the_same_prompts_noise_and_rewards(published):
    main = published["main", "main"][0]
    for arm, claim in (
        ("dgpo", "against-grpo"),
        ("flow-grpo", "against-grpo"),
        ("direct", "no-direct-rl"),
    ):
        config = published[claim, arm][0]
        assert config.kind == arm
        for key in set(type(config).model_fields) - {"method", "iterations", "evaluate_every"}:
            assert getattr(config, key) == getattr(main, key), key
        assert config.method.groups * config.method.group_size == 128
    assert published["no-direct-rl", "direct"][0].method.student_lr == main.method.student_lr


def test_as_many_evaluations_fall_on_the_way(published):
    for config, _ in published.values():
        assert config.iterations // config.evaluate_every in (2, 6)


@pytest.fixture
def claims(monkeypatch):
    """A claim of two arms, one of them on random numbers."""
    monkeypatch.setitem(ARMS, "still", Arm("does not move", ("method.reward_weight=0",)))
    checks = (
        Check("r.py:red reward", Of("placebo"), Of("still"), within=2),
        Check("r.py:red reward", Of("still", "along"), above=-1),
    )
    monkeypatch.setitem(CLAIMS, "small", Claim("Small", ("placebo", "still"), checks))


@pytest.fixture
def reproduction(claims, new_config, output, tmp_path, reward):
    def reproduction(seeds=(0, 1), quick=False, **options):
        options = {"iterations": 2, "evaluate_every": 1, "rewards": (reward("red"),), **options}
        return Reproduction("small", new_config(**options), seeds, tmp_path / "out", quick)

    return reproduction


def finish(reproduction):
    for arm, seed in reproduction.runs():
        reproduction.run(arm, seed)
    return reproduction.decide()


def test_arms_train_on_theirs_and_are_measured_by_the_rewards_of_the_claim(
    reproduction, tmp_path, reward
):
    done = reproduction()
    first, second = finish(done)
    assert [f.verdict.value for f in (first, second)] == ["holds", "holds"]
    assert done.folder("placebo", 0).config().rewards[0].endswith("placebo:placebo")
    kept = json.loads((tmp_path / "out" / "small.json").read_text())
    assert (kept["claim"], kept["quick"], kept["verdict"]) == ("small", False, "holds")
    assert [finding["figure"] for finding in kept["findings"]] == ["r.py:red reward"] * 2
    assert [(r["arm"], r["seed"]) for r in kept["runs"]] == done.runs()
    for run in kept["runs"]:
        assert set(run["figures"]) == {"teacher", "before", "after", "along"}
        assert "diversity" in run["figures"]["after"]
        assert run["images"] == {"r.py:red": 8}
        assert [point["iteration"] for point in run["curve"]] == [0, 1, 2]
        assert run["curve"][0]["evaluations"] == 0
        assert run["curve"][2]["evaluations"] == run["evaluations"] > 0


@pytest.mark.parametrize("kind", ["direct", "dgpo", "flow-grpo"])
def test_an_arm_of_another_kind_is_trained_and_counted(
    reproduction, monkeypatch, tmp_path, reward, kind
):
    monkeypatch.setitem(ARMS, "other", Arm("of another kind", kind=kind))
    checks = (Check("r.py:red reward", Of("main"), Of("other"), within=2),)
    monkeypatch.setitem(CLAIMS, "small", Claim("Small", ("main", "other"), checks))
    done = reproduction(iterations=4, evaluate_every=2, eval_images=2)
    [finding] = finish(done)
    assert finding.verdict.value == "holds"
    [main, _], [other, _] = done.records("main"), done.records("other")
    config = done.config("other", 0)
    assert other.evaluations == done._spent(config)
    assert other.nfe["after"] == (2 if kind == "direct" else 10)
    # As one of its iterations costs more than some of the other's, it stops near the budget.
    assert abs(other.evaluations - main.evaluations) <= done._each(config, 0)


def test_what_was_measured_is_not_repeated_not_even_without_its_folder(reproduction, monkeypatch):
    finish(reproduction())

    def train(config, run):
        raise AssertionError("it was there")

    monkeypatch.setattr("tdmr1.trainers.loop.jobs.train", train)
    monkeypatch.setattr(RunFolder, "started", False)
    assert len(finish(reproduction())) == 2


def test_a_run_is_taken_from_the_results_of_another_claim(reproduction, monkeypatch, tmp_path):
    finish(reproduction())
    checks = (Check("r.py:red reward", Of("still"), above=-1),)
    monkeypatch.setitem(CLAIMS, "other", Claim("Other", ("still",), checks))
    (tmp_path / "out" / "small.json").rename(tmp_path / "out" / "other.json")
    content = json.loads((tmp_path / "out" / "other.json").read_text())
    content["claim"] = "other"
    (tmp_path / "out" / "other.json").write_text(json.dumps(content))
    monkeypatch.setattr(RunFolder, "started", False)
    assert {arm for arm, _ in reproduction().results.records} == {"placebo", "still"}
    # Not one of other options, nor one of which another reward was measured.
    assert not reproduction(iterations=3).results.records
    for run in content["runs"]:
        run["images"] = {"another": 8}
    (tmp_path / "out" / "other.json").write_text(json.dumps(content))
    assert not reproduction().results.records


def test_a_run_that_was_computed_otherwise_is_taken(reproduction, tmp_path):
    """Options that change no figure may be others than the claim's."""
    done = reproduction()
    run = done.folder("still", 0)
    elsewhere = {"teacher_cache": str(tmp_path / "teachers")}
    jobs.train(done.config("still", 0).model_copy(update=elsewhere), run)
    finish(done)
    assert run.config().teacher_cache == elsewhere["teacher_cache"]
    assert ("still", 0) in done.results.records


def test_results_of_other_options_are_refused(reproduction, tmp_path):
    finish(reproduction())
    with pytest.raises(
        UserError, match=r"other options than the claim has now\nmove .*small\.json"
    ):
        reproduction(iterations=3)
    (tmp_path / "out" / "small.json").unlink()
    with pytest.raises(UserError, match="placebo-seed0 has other options than the claim"):
        finish(reproduction(iterations=3))


def test_packages_that_came_or_went_since_change_no_result(reproduction, tmp_path):
    finish(reproduction())
    file = tmp_path / "out" / "small.json"
    content = json.loads(file.read_text())
    content["runs"][0]["versions"] |= {"tdmr1-reward-gone": "0.1"}
    del content["runs"][0]["versions"]["tdmr1-reward-ocr"]
    file.write_text(json.dumps(content))
    assert len(finish(reproduction())) == 2


def test_results_of_another_version_are_refused(reproduction, tmp_path, monkeypatch):
    finish(reproduction())
    file = tmp_path / "out" / "small.json"
    written = file.read_text()
    file.write_text(written.replace('"tdmr1": "', '"tdmr1": "9.'))
    with pytest.raises(UserError, match=r"placebo, seed 0, .* another version: tdmr1 9\..*, not"):
        reproduction()
    file.unlink()
    environment = tmp_path / "out" / "placebo-seed0" / "environment.json"
    environment.write_text(environment.read_text().replace('"tdmr1": "', '"tdmr1": "9.'))
    with pytest.raises(UserError, match="another version: tdmr1"):
        finish(reproduction())


def test_fewer_than_two_seeds_are_refused_for_a_verdict(reproduction):
    with pytest.raises(UserError, match="a verdict takes at least two seeds, and there is 1"):
        reproduction(seeds=(0,))


def test_quick_runs_are_short_decide_nothing_and_do_not_mix(reproduction, tmp_path):
    quick = reproduction(seeds=(0,), quick=True, iterations=50)
    assert finish(quick) == []
    assert quick.config("still", 0).iterations == 2
    assert quick.config("still", 0).method.warmup == 1
    assert "verdict" not in json.loads(quick.results.path.read_text())
    with pytest.raises(UserError, match="holds quick results of the claim 'small'"):
        reproduction()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"claim": "small", "quick": false}'])
def test_a_damaged_file_is_told(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(UserError, match="does not hold results: "):
        Results(tmp_path / "x.json", "small", False)


def test_a_kill_while_results_are_written_leaves_the_old_ones(reproduction, tmp_path, monkeypatch):
    done = reproduction()
    done.run("placebo", 0)
    before = done.results.path.read_text()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", full)
        with pytest.raises(UserError, match=r"cannot write .*small\.json"):
            done.results.keep(done.results.records["placebo", 0])
    assert done.results.path.read_text() == before
    assert isinstance(reproduction().results.records["placebo", 0], Record)
