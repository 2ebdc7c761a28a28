"""Each check passes a reward that holds to the contract, and fails one that breaks it there."""

import math
import re
import subprocess
import sys
import textwrap
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from tdmr1.rewards import Golden, ImageRefused, Reward, Score, Weights
from tdmr1.rewards.checks import answers, cost, images, samples, statement
from tdmr1.rewards.checks.suite import CHECKS, checking, name_of, run_checks
from tdmr1.rewards.discovery.function import FunctionReward
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardNotFound, RewardOptionInvalid


def plain(value, size=(8, 8)):
    return np.full((*size, 3), value, np.uint8)


GOLDENS = [
    Golden("a cellar", good=plain(20), bad=plain(200), metadata={"wanted": 0.0}),
    Golden("snow", good=plain(250), bad=plain(100), metadata={"wanted": 1.0}),
    Golden("dusk", good=plain(60), bad=plain(240), metadata={"wanted": 0.25, "parts": [{}]}),
]


class Brightness(Reward):
    """Holds to the contract; the rewards below break it in one place."""

    name = "brightness"
    summary = "How near to the brightness wanted"
    needs = ("metadata `wanted`",)

    def score(self, samples):
        return [self.one(sample) for sample in samples]

    def one(self, sample):
        if "wanted" not in sample.metadata:
            return None
        return Score(1 - abs(sample.image.mean() / 255 - sample.metadata["wanted"]))

    def judges(self, prompt, metadata):
        return "wanted" in metadata


class Silent(Brightness):
    judges = Reward.judges


class Denies(Brightness):
    def judges(self, prompt, metadata):
        return prompt != "snow"


class Refuses(Brightness):
    def judges(self, prompt, metadata):
        raise KeyError(prompt)


class Boundless(Brightness):
    range = (-math.inf, math.inf)


class Upside(Brightness):
    def one(self, sample):
        score = super().one(sample)
        return score and Score(1 - score.value, reason="too nice")


class Loss(Upside):
    higher_is_better = False


class Shy(Brightness):
    def one(self, sample):
        return None


class Constant(Brightness):
    needs = ()

    def one(self, sample):
        return 0.5


class Company(Brightness):
    def score(self, samples):
        return [score and Score(score.value / len(samples)) for score in super().score(samples)]


class Verdict(Brightness):
    def score(self, samples):
        return [s and Score(s.value, passed=len(samples) > 1) for s in super().score(samples)]


class Sorted(Brightness):
    def score(self, samples):
        return sorted(super().score(samples), key=lambda s: -1 if s is None else s.value)


class Drifting(Brightness):
    calls = 0

    def one(self, sample):
        type(self).calls += 1
        score = super().one(sample)
        return score and Score(score.value * 0.9 ** (self.calls % 7))


class Random(Drifting):
    repeatable = False


class Guesses(Brightness):
    def one(self, sample):
        return super().one(sample) or 0.5


class Choosy(Brightness):
    needs = ()


class NotANumber(Brightness):
    def one(self, sample):
        score = super().one(sample)
        return score and (math.nan if score.value > 0.9 else score)


class Percent(Brightness):
    def one(self, sample):
        score = super().one(sample)
        return score and 100 * score.value


class Square(Brightness):
    def one(self, sample):
        height, width, _ = sample.image.shape
        if height != width:
            raise ValueError(f"{height} is not {width}")
        return super().one(sample)


class Picky(Brightness):
    def one(self, sample):
        if min(sample.image.shape[:2]) < 50:
            raise ImageRefused("under 50 pixels a side")
        return super().one(sample)


class PickyInCompany(Picky):
    grouped = True

    def score(self, samples):
        return super().score(samples) if len(samples) > 1 else [None] * len(samples)


class Colours(Brightness):
    def one(self, sample):
        spread = int(np.ptp(sample.image, axis=-1).max())
        return None if "wanted" not in sample.metadata else 1 / spread


class Large(Brightness):
    def one(self, sample):
        return super().one(sample) if min(sample.image.shape[:2]) > 1 else 1 / 0


class NeverEmpty(Brightness):
    def score(self, samples):
        assert samples[0], "no sample"
        return super().score(samples)


class Scribbler(Brightness):
    def one(self, sample):
        score = super().one(sample)
        if sample.image.flags.writeable:
            sample.image[0, 0] += 1
        return score


class Popper(Brightness):
    def one(self, sample):
        score = super().one(sample)
        sample.metadata.pop("wanted", None)
        return score


class DeepWriter(Brightness):
    def one(self, sample):
        score = super().one(sample)
        for part in sample.metadata.get("parts", ()):
            part["seen"] = True
        return score


class Emptier(Brightness):
    def score(self, samples):
        return [self.one(samples.pop(0)) for _ in range(len(samples))]


class Raises(Brightness):
    def one(self, sample):
        raise RuntimeError("the engine is off")


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_a_reward_that_holds_to_the_contract_passes(check):
    finding = check(Brightness(), GOLDENS)
    assert finding.status == "passed", finding.text


@pytest.mark.parametrize(
    ("check", "reward"),
    [
        (answers.tells_good_from_bad, Loss),
        (answers.repeatable, Random),
        (answers.abstains_without_its_needs, Constant),
        (images.odd_sizes, Picky),
        (images.one_pixel, Picky),
        (images.odd_sizes, PickyInCompany),
    ],
)
def test_what_is_declared_is_allowed(check, reward):
    finding = check(reward(), GOLDENS)
    assert finding.status == "passed", finding.text


def test_refused_images_are_counted_and_the_first_reason_is_shown():
    says = "1 scored, 0 abstained, 4 refused (ImageRefused: under 50 pixels a side)"
    assert images.odd_sizes(Picky(), GOLDENS).text == says


@pytest.mark.parametrize(
    ("check", "reward", "says"),
    [
        (answers.tells_good_from_bad, Upside, "pair 0 .* not above the bad one's .*too nice; too"),
        (answers.tells_good_from_bad, Constant, "good image's 0.5 is not above the bad one's 0.5"),
        (answers.tells_good_from_bad, Shy, r'pair 0 \("a cellar"\): the reward abstains'),
        (answers.finite, NotANumber, "returned nan for sample 0"),
        (answers.range_kept, Percent, "21.5.* to 98.5.*, of 0 to 1"),
        (answers.batch_equals_one_by_one, Company, "sample 0 .*0.92.* alone, 0.15.* in a batch"),
        (answers.batch_equals_one_by_one, Verdict, r"\(not passed\) alone, .* \(passed\) in"),
        (answers.order_kept, Sorted, "sample 0 .* in a batch of another order"),
        (answers.repeatable, Drifting, "sample 0 .*, and then .*say `repeatable = False`"),
        (answers.abstains_without_its_needs, Guesses, "scores 0.5 without .* metadata `wanted`"),
        (answers.abstains_without_its_needs, Choosy, "say in `needs` what it looks for"),
        (answers.judges_what_it_scores, Denies, r'2 \("snow"\): .* False, and it scores 0.98'),
        (
            answers.judges_what_it_scores,
            Refuses,
            r"cannot judge \"a cellar\": KeyError: 'a cellar'",
        ),
        (images.odd_sizes, Square, "ValueError: 1 is not 64"),
        (images.odd_sizes, Percent, "outside"),
        (images.grey, Colours, "ZeroDivisionError"),
        (images.one_pixel, Large, "ZeroDivisionError"),
        (images.empty_batch, NeverEmpty, "IndexError"),
        (answers.input_unchanged, Scribbler, "changes the image of sample 0"),
        (answers.input_unchanged, Popper, "changes the metadata of sample 0"),
        (answers.input_unchanged, DeepWriter, "changes the metadata of sample 4"),
        (answers.input_unchanged, Emptier, "changes the list of samples"),
        (cost.latency, Raises, "the engine is off"),
    ],
)
def test_a_reward_that_breaks_the_contract_is_told_where(check, reward, says):
    finding = dict(run_checks(reward(), GOLDENS))[name_of(check)]
    assert finding.status == "failed"
    assert re.search(says, finding.text), finding.text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"range": (1.0, 0.0)}, "the smaller value comes first"),
        ({"range": None}, "cannot unpack"),
        ({"summary": None}, "no `summary`"),
        ({"needs": "a prompt"}, "`needs` is 'a prompt'; write a tuple of str"),
        ({"weights": ("clip",)}, "write a tuple of Weights"),
    ],
)
def test_a_wrong_statement_is_found(change, says):
    reward = type("Changed", (Brightness,), change)()
    finding = dict(run_checks(reward, GOLDENS))["states what it is"]
    assert finding.status == "failed"
    assert says in finding.text


def test_a_statement_on_the_object_is_found():
    reward = Brightness()
    reward.weights = (Weights("clip", "MIT", 890, "a hub"),)
    finding = statement.states_what_it_is(reward, GOLDENS)
    assert "`weights` is set on the object; state it on the class" in finding.text


def test_what_it_reads_may_depend_on_its_options():
    reward = Brightness()
    reward.reads = ("palette.npy",)
    assert statement.states_what_it_is(reward, GOLDENS).status == "passed"


@pytest.mark.parametrize("image", [plain(1) / 255, plain(1)[..., 0], plain(1).repeat(2, -1)])
def test_a_golden_image_of_another_kind_is_found(image):
    goldens = [*GOLDENS, Golden("a wall", good=plain(3), bad=image)]
    finding = statement.states_what_it_is(Brightness(), goldens)
    assert "golden pair 3 has an image of" in finding.text


@pytest.mark.parametrize(
    ("check", "reward", "goldens", "says"),
    [
        (answers.tells_good_from_bad, Brightness, (), "no golden images"),
        (answers.judges_what_it_scores, Silent, GOLDENS, "it does not say which prompts"),
        (answers.order_kept, Constant, GOLDENS, "all samples score alike"),
        (answers.range_kept, Boundless, GOLDENS, "states no `range`"),
        (answers.batch_equals_one_by_one, Random, GOLDENS, "declared not repeatable"),
        (answers.order_kept, Random, GOLDENS, "declared not repeatable"),
        *(
            (check, Shy, GOLDENS, "abstains on every sample")
            for check in (
                answers.finite,
                answers.range_kept,
                answers.batch_equals_one_by_one,
                answers.order_kept,
                answers.repeatable,
            )
        ),
    ],
)
def test_what_gives_nothing_to_check_is_not_called_passed(check, reward, goldens, says):
    finding = check(reward(), goldens)
    assert finding.status == "not checked"
    assert says in finding.text


def test_a_function_may_abstain_as_it_cannot_state_its_needs():
    reward = FunctionReward("./my.py:score", Brightness().score)
    assert answers.abstains_without_its_needs(reward, GOLDENS).status == "not checked"


def test_a_reward_that_asks_people_may_abstain_whatever_the_prompt():
    class Asks(Choosy):
        asks = True

    assert answers.abstains_without_its_needs(Asks(), GOLDENS).status == "not checked"


def test_without_golden_images_synthetic_ones_are_scored():
    values = samples.score(Constant(), samples.probes(())).values
    assert values.tolist() == [0.5] * 5
    contrasts = Brightness().score([*samples.probes(GOLDENS)])
    assert len({score.value for score in contrasts}) == 6
    shades = {image.tobytes() for image in samples.synthetic_images()}
    assert len(shades) == 5


def test_half_precision_is_no_difference_and_one_percent_is():
    class Rough(Brightness):
        noise = 1e-4

        def score(self, samples):
            scores = super().score(samples)
            return [s and Score(s.value - self.noise * len(samples)) for s in scores]

    assert answers.batch_equals_one_by_one(Rough(), GOLDENS).status == "passed"
    Rough.noise = 2e-3
    assert answers.batch_equals_one_by_one(Rough(), GOLDENS).status == "failed"


def test_latency_is_per_image_and_counts_from_the_second_call():
    sizes = []

    class Slow(Brightness):
        def score(self, samples):
            sizes.append(len(samples))
            time.sleep(0.01)
            return super().score(samples)

    finding = cost.latency(Slow(), GOLDENS)
    assert sizes == [1] + [1] * 8 + [8] + [32]
    assert list(finding.figures) == [f"ms_per_image_at_{n}" for n in (1, 8, 32)]
    one, eight, _ = finding.figures.values()
    assert one >= 10
    assert eight >= 10 / 8
    assert "ms an image at batch 1 / 8 / 32, 8 x 8 pixels" in finding.text


def test_peak_memory_grows_with_what_was_held():
    code = """
        import numpy as np
        from tdmr1.rewards.checks.cost import peak_memory

        before = peak_memory(None, ()).figures["mib"]
        held = np.ones(round(before) * 2**20, np.uint8)
        del held
        print(before, peak_memory(None, ()).figures["mib"])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    before, after = map(float, subprocess.check_output(command, text=True).split())
    assert before > 5
    assert 1.8 * before < after < 2.5 * before


def test_peak_memory_is_not_that_of_the_process_that_started_this_one():
    code = """
        import subprocess, sys
        held = bytearray(400 * 2**20)
        code = "from tdmr1.rewards.checks.cost import peak_memory\\n"
        code += "print(peak_memory(None, ()).figures['mib'])"
        subprocess.run([sys.executable, "-c", code], close_fds=False)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    assert float(subprocess.check_output(command, text=True)) < 300


def test_peak_memory_of_the_gpu_where_torch_was_imported(monkeypatch):
    cuda = SimpleNamespace(is_available=lambda: True, max_memory_allocated=lambda: 3 * 2**20)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    finding = cost.peak_memory(Brightness(), GOLDENS)
    assert finding.figures["gpu_mib"] == 3
    assert finding.text.endswith(", 3 MiB of the GPU")


def test_after_a_reward_hangs_the_rest_is_not_checked(monkeypatch):
    class Hangs(Brightness):
        def score(self, samples):
            release.wait()

    release = threading.Event()
    monkeypatch.setattr(samples, "CALL_LIMIT", 0.05)
    findings = dict(run_checks(Hangs(), GOLDENS))
    release.set()
    assert "did not score 6 samples" in findings["tells good from bad"].text
    assert {f.status for f in findings.values()} == {"passed", "failed", "not checked"}
    assert findings["latency"].text == "it did not return from an earlier check"


CODE = """
    from tdmr1.rewards import Reward

    class Mine(Reward):
        name = "mine"
        summary = "Constant"

        def __init__(self, value=0.5):
            self.value = value

        def score(self, samples):
            return [self.value] * len(samples)

        def goldens(self):
            {goldens}
"""


@pytest.fixture
def mine(tmp_path):
    """The spec of a reward in a file, with the body of its `goldens`."""

    def mine(goldens="return ()"):
        (tmp_path / "my.py").write_text(textwrap.dedent(CODE.format(goldens=goldens)))
        return RewardSpec(f"{tmp_path / 'my.py'}:Mine")

    return mine


def test_checking_begins_with_loading(mine):
    findings = dict(checking(mine(), {}))
    assert list(findings) == ["loads", *map(name_of, CHECKS)]
    assert findings["loads"].status == "passed"
    assert findings["range kept"].text == "0.5 to 0.5, of 0 to 1"


def test_checking_takes_options(mine):
    assert dict(checking(mine(), {"value": 2}))["range kept"].status == "failed"
    with pytest.raises(RewardOptionInvalid, match=r"value = 0\.5"):
        dict(checking(mine(), {"valeu": 2}))


@pytest.mark.parametrize("goldens", ["return 1 / 0", "yield 1 / 0"])
def test_what_does_not_load_is_a_finding_and_the_rest_is_not_checked(mine, goldens):
    findings = dict(checking(mine(goldens), {}))
    assert findings["loads"].status == "failed"
    assert "golden images of reward 'mine' cannot be made: ZeroDiv" in findings["loads"].text
    assert {findings[name_of(check)].status for check in CHECKS} == {"not checked"}


def test_what_is_not_there_is_an_error():
    with pytest.raises(RewardNotFound):
        dict(checking(RewardSpec("no-such"), {}))
