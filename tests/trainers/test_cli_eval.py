import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder, new_config, train):
    train(new_config(iterations=1), folder / "a")
    return "a"


@pytest.fixture
def json_of(tdmr1):
    def json_of(*arguments):
        status, out, err = tdmr1("eval", *map(str, arguments), "--json")
        assert status == 0, err
        return json.loads(out)

    return json_of


def test_a_run_s_figures_have_intervals_and_its_students_are_compared(run, tdmr1, reward):
    status, out, err = tdmr1("eval", run, "--images", "8")
    assert status == 0, err
    assert "after - teacher" in out and "after - before" in out
    overall = next(line for line in out.splitlines() if "overall" in line)
    assert overall.count(" to ") == 3


def test_several_seeds_are_pooled(run, json_of, reward):
    both = json_of(run, "--seed", 1, "--seed", 2, "--seed", 2)["after"]["rewards"][reward("red")]
    each = [json_of(run, "--seed", s)["after"]["rewards"][reward("red")] for s in (1, 2)]
    assert both["images"] == 2 * each[0]["images"]
    assert both["by_seed"] == pytest.approx({"1": each[0]["overall"], "2": each[1]["overall"]})


def test_what_was_drawn_is_evaluated_alike_as_a_folder(run, json_of, reward):
    drawn = json_of(run, "--pictures", "out")
    (red,) = [name for name in drawn["after"]["rewards"] if name.endswith(":red")]
    again = json_of("out/after", "--reward", red)["images"]["rewards"][red]
    assert again["by_tag"] == pytest.approx(drawn["after"]["rewards"][red]["by_tag"])
    two = json_of("out/before", "out/after", "--reward", red)["paired"]
    (pair,) = [pair for pair in drawn["paired"] if pair["first"] == "before"]
    assert (two[0]["first"], two[0]["second"]) == ("before", "after")
    assert two[0]["rewards"][red] == pytest.approx(pair["rewards"][red])


def test_two_runs_are_compared_as_they_were_last_evaluated(
    run, folder, new_config, train, json_of, monkeypatch
):
    train(new_config(iterations=2), folder / "b")
    monkeypatch.setattr("tdmr1.trainers.loop.jobs.evaluate", None)  # nothing is drawn again
    (pair,) = json_of("a", "b")["paired"]
    assert (pair["first"], pair["second"]) == ("a", "b")
    assert {of["images"] for of in pair["rewards"].values()} == {4, 8}


def test_runs_of_other_noise_or_prompts_are_not_compared(run, folder, new_config, train, tdmr1):
    train(new_config(iterations=1, eval_seed=5), folder / "noise")
    train(new_config(iterations=1, eval_images=3), folder / "fewer")
    status, _, err = tdmr1("eval", "a", "noise")
    assert status == 1
    assert "their noise was drawn with the seeds 1234 and 5\ngive both the same: --seed N" in err
    assert tdmr1("eval", "a", "noise", "--seed", "3")[0] == 0
    status, _, err = tdmr1("eval", "a", "fewer")
    assert status == 1
    assert "a and fewer cannot be compared picture by picture: their prompts differ" in err


def test_a_model_and_a_lora_are_evaluated_without_a_run(run, json_of, reward):
    options = ("--reward", reward("red"), "--images", 4, "--set", "method.steps=2")
    shipped = json_of("--model", "tiny", *options)
    assert list(shipped) == ["teacher", "before", "paired"]
    mine = json_of("--model", "tiny", "--student", f"{run}/lora", *options)
    of_run = json_of(run)
    assert mine["before"]["rewards"][reward("red")] == of_run["after"]["rewards"][reward("red")]
    assert shipped["before"] != mine["before"]


def images(folder, count):
    folder.mkdir()
    for index in range(count):
        Image.fromarray(np.full((4, 4, 3), index * 9, np.uint8)).save(folder / f"{index}.png")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("a", "b", "c"), "name one or two runs or folders of images"),
        (("a", "--model", "tiny"), "name one or two runs or folders of images"),
        (
            ("nowhere",),
            "there is no run and no folder of images nowhere; a generator is named",
        ),
        (("pictures",), "name what shall judge the images in pictures: --reward NAME"),
        (("pictures", "-r", "{red}"), "nothing says what the images in pictures should show"),
        (("pictures", "-r", "{red}", "--seed", "1"), "pictures is not a run"),
        (("pictures", "-r", "{red}", "--prompts", "few.txt"), "there are 3 images, and 2 prompts"),
        (
            ("pictures", "-r", "{red}", "--prompts", "more.jsonl"),
            "1 lines of more.jsonl name no image in pictures; draw them, or remove the lines",
        ),
        (
            ("pictures", "-r", "{red}", "--prompts", "fewer.jsonl"),
            "1 of 3 images have no line in fewer.jsonl",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_told(folder, tdmr1, reward, arguments, error):
    images(folder / "pictures", 3)
    (folder / "few.txt").write_text("a\nb\n")
    lines = [json.dumps({"prompt": "a", "file": f"{i}.png"}) + "\n" for i in range(4)]
    (folder / "more.jsonl").write_text("".join(lines))
    (folder / "fewer.jsonl").write_text("".join(lines[:2]))
    status, _, err = tdmr1("eval", *(a.format(red=reward("red")) for a in arguments))
    assert status == 1
    assert error in err


def layout(folder, prompts):
    """Two images a prompt, the first one dark and the second one bright."""
    for number, (prompt, metadata) in enumerate(prompts):
        place = folder / f"{number:05d}"
        (place / "samples").mkdir(parents=True)
        (place / "metadata.jsonl").write_text(json.dumps({**metadata, "prompt": prompt}))
        for index, level in enumerate((10, 250)):
            image = Image.fromarray(np.full((4, 4, 3), level, np.uint8))
            image.save(place / "samples" / f"{index:04d}.png")


def test_results_are_lines_as_geneval_s_evaluator_writes_them(folder, tdmr1, json_of, reward):
    include = [{"class": "dog", "count": 1}]
    asked = {"tag": "blue", "include": include}
    layout(folder / "images", [("a dog", asked), ("a dög", asked), ("a red one", {"tag": "red"})])
    blue, file = reward("blue"), folder / "out" / "results.jsonl"
    told = json_of("images", "--reward", blue, "--results", file)["images"]["rewards"][blue]
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["filename"], line["prompt"], line["correct"]) for line in lines] == [
        (f"images/{number:05d}/samples/{index:04d}.png", prompt, index == 1)
        for number, prompt in enumerate(("a dog", "a dög"))
        for index in range(2)
    ]
    assert json.loads(lines[3]["metadata"]) == {**asked, "prompt": "a dög"}
    for line in lines:
        # The columns of its frame, in its order.
        columns = ["filename", "tag", "prompt", "correct", "reason", "metadata", "details"]
        assert [*line] == columns and json.loads(line["details"]) == {}
        assert line["tag"] == "blue" and bool(line["reason"]) is not line["correct"]
    # As `summary_scores.py` sums them up.
    assert told["by_tag"]["blue"] == sum(line["correct"] for line in lines) / len(lines)
    assert len({line["metadata"] for line in lines}) == 2


def test_images_are_judged_with_options_of_their_rewards(folder, json_of, reward, tdmr1):
    layout(folder / "images", [("a dog", {"tag": "blue"})])
    bright = reward("bright")
    once, twice = (
        json_of("images", "-r", bright, *options)["images"]["rewards"][bright]["overall"]
        for options in ((), ("--set", f"reward_options.'{bright}'.gain=2.0"))
    )
    assert twice == pytest.approx(2 * once)
    status, _, err = tdmr1(
        "eval", "images", "-r", bright, "--set", f"reward_options.'{bright}'.a=2"
    )
    assert status == 1 and "has no option 'a'" in err


def test_a_run_keeps_its_options(run, tdmr1):
    status, _, err = tdmr1("eval", run, "--set", "method.steps=2")
    assert status == 1 and "a is a run, and keeps its options; --set is of images" in err


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("images", "images"), "--results is of one folder of images; a generator's: --pictures"),
        (("--model", "tiny"), "--results is of one folder of images"),
        (("images", "-r", "{red}"), "takes one reward that gives verdicts, as geneval does; none"),
    ],
)
def test_results_of_anything_else_are_refused(folder, tdmr1, reward, arguments, error):
    layout(folder / "images", [("a dog", {"tag": "blue"})])
    arguments = [a.format(red=reward("red")) for a in arguments]
    status, out, err = tdmr1("eval", *arguments, "--results", "results.jsonl")
    assert status == 1
    assert error in err
    assert not (folder / "results.jsonl").exists()
    assert ("images: 2" in out) is ("-r" in arguments)  # what was scored is told all the same


def test_results_take_no_folder_s_place(folder, tdmr1, reward):
    layout(folder / "images", [("a dog", {"tag": "blue"})])
    status, out, err = tdmr1("eval", "images", "-r", reward("blue"), "--results", "images")
    assert (status, out) == (1, "") and "--results is a file, and images is a folder" in err


def test_the_same_folders_without_a_prompt_file_are_scored_offline(run, tdmr1, reward):
    assert tdmr1("eval", run, "--pictures", "out")[0] == 0
    status, out, err = tdmr1(
        "rewards", "score", reward("red"), "out/after", "--reward-cache", "off"
    )
    assert status == 0, err
    assert [line.split()[1:3] for line in out.splitlines()[1:4]] == [
        ["all", "8"],
        ["red", "4"],
        ["blue", "4"],
    ]
