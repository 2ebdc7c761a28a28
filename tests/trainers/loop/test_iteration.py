"""What a reward is told of when its samples were drawn."""

import json

CODE = """
import json

def asked(samples):
    with open({log!r}, "a") as file:
        file.write(json.dumps([sample.iteration for sample in samples]) + chr(10))
    return [float(sample.image.mean()) / 255 for sample in samples]
"""


def test_training_says_the_iteration_and_evaluations_say_none(new_config, train, tmp_path):
    log = tmp_path / "asked.jsonl"
    (tmp_path / "people.py").write_text(CODE.format(log=str(log)))
    reward = f"{tmp_path}/people.py:asked"
    train(new_config(rewards=(reward,), iterations=3, evaluate_every=2), tmp_path / "run")
    calls = [{*json.loads(line)} for line in log.read_text().splitlines()]
    assert all(len(call) == 1 for call in calls)
    told = [call.pop() for call in calls]
    assert [iteration for iteration in told if iteration is not None] == [0, 1, 2]
    assert told.count(None) > 3  # tried at first, and pictures of before, along the way and after
