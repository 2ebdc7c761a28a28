import contextlib
import random
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
import torch

from tdmr1.rewards import Sample
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.places.here import Here, call
from tdmr1.rewards.places.loading import load_described
from tdmr1.rewards.places.opening import open_place
from tdmr1.rewards.random_state import own_random_state

DRAWS = """
    import random
    import numpy as np
    {top}

    def numbers():
        import torch
        return [random.random(), float(np.random.rand()), float(torch.rand(()))]

    class Draws:
        def __init__(self):
            self.made = numbers()
            self.weights = None

        def __call__(self, samples):
            import torch
            drawn = numbers()
            if self.weights is None:  # as many a head that is built at its first call
                self.weights = torch.nn.Linear(2, 2).weight.flatten().tolist()
            torch.manual_seed(3)
            np.random.seed(3)
            random.seed(3)
            return [*self.made, *self.weights, *drawn][:len(samples)]

    from tdmr1.rewards import Reward

    class Mine(Reward):
        name = "mine"
        range = (-10, 10)

        def __init__(self):
            self.draws = Draws()

        def score(self, samples):
            return self.draws(samples)
"""
SAMPLES = [Sample(np.zeros((2, 2, 3), np.uint8), "x")] * 10


def state():
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


@pytest.fixture
def mine(tmp_path):
    def mine(top="", place="here"):
        (tmp_path / "my.py").write_text(textwrap.dedent(DRAWS).replace("{top}", top))
        return RewardSpec.parse(f"{tmp_path}/my.py:Mine@{place}")

    return mine


def values(place):
    return [score.value for score in place.score(SAMPLES)]


@pytest.mark.parametrize("top", ["", "import torch; torch.manual_seed(7); torch.rand(5)"])
def test_a_reward_draws_the_same_everywhere_and_each_time(mine, top):
    torch.manual_seed(11)
    random.seed(11)
    found = []
    for place in ("here", "worker", "here"):
        with contextlib.closing(open_place(mine(top, place))) as opened:
            found += [values(opened), values(opened)]
        torch.rand(1)
    assert all(other == found[0] for other in found)
    assert len(set(found[0])) > 4


def test_whoever_else_draws_in_the_process_sees_nothing_of_it(mine):
    before = state()
    place = open_place(mine("np.random.seed(5); random.seed(5)"))
    assert state() == before
    values(place)
    values(place)
    assert state() == before
    with pytest.raises(ZeroDivisionError), own_random_state():
        random.random()
        torch.rand(1)
        raise ZeroDivisionError
    assert state() == before


def test_two_that_are_asked_at_a_time_draw_as_if_each_were_alone(mine):
    reward, info = load_described(mine().name)
    alone = [score.value for score in call(reward, SAMPLES, info)]
    before, found = state(), []
    threads = [
        threading.Thread(target=lambda: found.append(values(Here(reward, info=info))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [alone] * 8
    assert state() == before


def test_torch_that_is_imported_first_inside_is_seeded_as_one_that_was_there():
    code = """
        import sys
        from tdmr1.rewards.random_state import own_random_state
        finders = list(sys.meta_path)
        with own_random_state():
            assert "torch" not in sys.modules
            import torch
            print(float(torch.rand(())))
        assert sys.meta_path == finders
        with own_random_state():
            print(float(torch.rand(())))
        assert "exec_module" not in vars(torch.__spec__.loader)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    first, second = subprocess.check_output(command, text=True).split()
    with own_random_state():
        assert float(first) == float(second) == float(torch.rand(()))


def test_a_process_without_torch_stays_without():
    code = """
        import sys
        from tdmr1.rewards.random_state import own_random_state
        finders = list(sys.meta_path)
        with own_random_state():
            pass
        print("torch" in sys.modules, sys.meta_path == finders)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    assert subprocess.check_output(command, text=True).split() == ["False", "True"]


class Gpus:
    """As `torch.cuda`, to the extent that it is used."""

    def __init__(self, states):
        self.states, self.log = states, []

    def is_initialized(self):
        return self.states is not None

    def get_rng_state_all(self):
        return list(self.states)

    def set_rng_state_all(self, states):
        self.log.append(("set", states))

    def manual_seed_all(self, seed):
        self.log.append(("seed", seed))


@pytest.mark.parametrize(
    ("states", "last"), [(["a", "b"], ("set", ["a", "b"])), (None, ("seed", 11))]
)
def test_of_gpus_too(monkeypatch, states, last):
    torch.manual_seed(11)
    monkeypatch.setattr(torch, "cuda", Gpus(states))
    monkeypatch.setattr(
        torch, "manual_seed", lambda seed: torch.default_generator.manual_seed(seed)
    )
    with own_random_state():
        torch.rand(1)
    assert torch.cuda.log == [last]
