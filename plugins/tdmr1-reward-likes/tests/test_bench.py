"""The scripted voter that stands in for people."""

import json

import pytest
from PIL import Image

from tdmr1.rewards import Sample
from tdmr1_reward_likes.pictures import Item, Vote


def test_its_eye_sees_what_is_blue(bench, scenes):
    samples = [Sample(image, "a star") for image in scenes.images]
    assert bench.blue(samples) == scenes.rule.tolist()
    assert 0 < scenes.rule.sum() < 20


def test_it_votes_on_so_many_of_an_iteration_and_is_sometimes_wrong(bench, scenes, store):
    ids = store.post("run", 4, [Item(image, "a star") for image in scenes.images])
    bench.vote(store, votes=12, each=20, wrong=0.0, seed=0)
    votes = store.votes(ids)
    voted = [i for i, id in enumerate(ids) if votes[id]]
    assert len(voted) == 12
    assert [votes[ids[i]][0].liked for i in voted] == [bool(scenes.rule[i]) for i in voted]
    ids = store.post("run", 5, [Item(image, "a circle") for image in scenes.images])
    bench.vote(store, votes=20, each=20, wrong=1.0, seed=0)
    assert [votes[0].liked for votes in store.votes(ids).values()] == (~scenes.rule).tolist()


def test_the_prompts_leave_colours_open_and_are_those_of_their_split(bench, tmp_path):
    bench.write_prompts(tmp_path)
    texts = {}
    for name in ("train", "heldout"):
        lines = (tmp_path / f"open-{name}.jsonl").read_text().splitlines()
        texts[name] = [json.loads(line)["prompt"] for line in lines]
    assert min(map(len, texts.values())) > 10
    assert not {*texts["train"]} & {*texts["heldout"]}
    assert not any(
        "blue" in text or "sign" in text for text in [*texts["train"], *texts["heldout"]]
    )


def test_the_curve_has_a_point_an_evaluation_and_the_votes_before_it(curve, post, store):
    for iteration in (0, 1, 2):
        ids = post(2, iteration=iteration)
        store.record(Vote(id, "Ada", True, 1e9, 0) for id in ids)
    run = store.path.parent / "run"
    run.mkdir()
    options = {"likes": {"queue": store.path.name}}
    (run / "config.json").write_text(json.dumps({"seed": 1, "reward_options": options}))
    measured = {"heldout/geneval/overall": 0.75, "heldout//here/hidden_rule.py:blue": 0.4}
    lines = [{"iteration": 0, **measured}, {"iteration": 1}, {"iteration": 2, **measured}]
    (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    told = curve.tell(run, "votes alone")
    assert told == {
        "what": "votes alone",
        "seed": 1,
        "iteration": [0, 2],
        "votes": [0, 4],
        "blue": [0.4, 0.4],
        "geneval": [0.75, 0.75],
    }


def test_the_curves_that_are_kept_can_be_drawn(curve, tmp_path):
    pytest.importorskip("matplotlib", reason="pip install 'tdmr1[report]'")
    lines = (curve.HERE / "curve.jsonl").read_text(encoding="utf-8").splitlines()
    curve.draw([json.loads(line) for line in lines], tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as drawn:
        assert len(drawn.getcolors(2**20)) > 4
