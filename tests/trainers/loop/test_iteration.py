"""What a reward that asks people is told, and what it says of itself."""

import json

CODE = """
import json
from tdmr1.rewards import Reward

class Asked(Reward):
    name = summary = "asked"
    asks = True
    calls = 0

    def score(self, samples):
        self.calls += 1
        with open({log!r}, "a") as file:
            file.write(json.dumps([sample.iteration for sample in samples]) + chr(10))
        return [None] * len(samples)

    def figures(self):
        return {{"calls": self.calls}}
"""


def test_a_training_says_the_iteration_an_evaluation_none_and_figures_are_logged(
    new_config, train, tmp_path
):
    log = tmp_path / "asked.jsonl"
    (tmp_path / "people.py").write_text(CODE.format(log=str(log)))
    reward = f"{tmp_path}/people.py:Asked"
    run = train(new_config(rewards=(reward,), iterations=3, evaluate_every=2), tmp_path / "run")
    calls = [{*json.loads(line)} for line in log.read_text().splitlines()]
    assert all(len(call) == 1 for call in calls)
    told = [call.pop() for call in calls]
    assert [iteration for iteration in told if iteration is not None] == [0, 1, 2]
    assert told.count(None) > 3  # tried at first, and pictures of before, along the way and after
    figures = [line.get(f"figures/{reward}/calls") for line in run.metrics()]
    assert figures == [*(1 + told.index(i) for i in range(3)), None]
