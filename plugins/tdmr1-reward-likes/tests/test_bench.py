"""The scripted voter that stands in for people."""

import json

from tdmr1.rewards import Sample
from tdmr1_reward_likes.pictures import Item


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
