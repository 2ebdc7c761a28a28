import json
import subprocess
import sys

import pytest

PACKAGE = """
    from tdmr1.rewards import Reward, hookimpl
    from tdmr1.rewards.prompt_source import PromptSource
    from tdmr1.rewards.prompts import PromptLine

    class Letters(PromptSource):
        shares = {"letter": 1}

        def prompts(self, tag, rng):
            letters = list("abcdé")
            rng.shuffle(letters)
            return (PromptLine(letter, {"tag": tag, "word": letter}) for letter in letters)

        def asks(self, prompt):
            if "word" not in prompt.metadata:
                raise ValueError(f"{prompt.text!r} has no word")
            return prompt.metadata["word"].lower()

    class Letter(Reward):
        name = "letter"

        def __init__(self):
            raise RuntimeError("made")

        def score(self, samples): ...

    @hookimpl
    def register_rewards(register):
        register("letter", Letter)
        register("silent", Letter)
        register("odd", Letter)

    @hookimpl
    def register_prompts(register):
        register("letter", Letters)
        register("odd", dict)
"""


@pytest.fixture
def package(install):
    install("tdmr1-reward-letter", ["letter", "silent", "odd"], PACKAGE)


def lines(out):
    return [json.loads(line) for line in out.splitlines()]


def test_prompts_are_json_lines_as_prompt_files_have_them(tdmr1, package, tmp_path):
    status, out, err = tdmr1("prompts", "letter", "--n", "5")
    assert (status, err) == (0, "5 prompts: 5 letter\n")
    assert sorted(line["prompt"] for line in lines(out)) == ["a", "b", "c", "d", "é"]
    assert lines(out)[0].keys() == {"prompt", "tag", "word"}
    assert out.isascii()
    assert tdmr1("prompts", "letter", "--n", "5") == (status, out, err)
    assert lines(tdmr1("prompts", "letter", "--n", "2")[1]) == lines(out)[:2]
    others = {tdmr1("prompts", "letter", "--n", "5", "--seed", str(seed))[1] for seed in range(4)}
    assert len(others) > 1
    (tmp_path / "train.jsonl").write_text(out)
    (tmp_path / "more.txt").write_text("A\n")
    status, _, err = tdmr1("prompts", "letter", "--n", "1", "--exclude", f"{tmp_path}/train.jsonl")
    assert status == 1 and "there are 0 prompts for reward 'letter' beside those of" in err


def test_what_is_excluded_is_not_asked(tdmr1, package, tmp_path):
    for name, word in (("one", "A"), ("two", "é")):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"prompt": "x", "word": word}))
    exclude = [f"--exclude={tmp_path}/{name}.jsonl" for name in ("one", "two")]
    _, out, _ = tdmr1("prompts", "letter", "--n", "3", *exclude)
    assert sorted(line["prompt"] for line in lines(out)) == ["b", "c", "d"]


def test_more_than_there_are_is_told(tdmr1, package):
    status, out, err = tdmr1("prompts", "letter", "--n", "6")
    assert (status, out) == (1, "")
    assert err == (
        "error: --n is 6, and there are 5 prompts for reward 'letter' (5 letter); "
        "--n 5 writes them all\n"
    )


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("leter", "no reward 'leter' is installed; did you mean letter"),
        (
            "silent",
            "brings no prompts\nwhat it looks for in yours says: tdmr1 rewards info sil",
        ),
        ("odd", "registers a dict as its prompts; its class must derive from tdmr1.rewards.prom"),
    ],
)
def test_a_reward_without_prompts_is_told(tdmr1, package, name, error):
    status, out, err = tdmr1("prompts", name)
    assert (status, out) == (1, "")
    assert error in err


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (None, "cannot read the prompt file"),
        ('{"prompt": "x"}', "cannot exclude what {file} asks for: 'x' has no word"),
    ],
)
def test_a_file_that_cannot_be_excluded_is_told(tdmr1, package, tmp_path, text, error):
    file = tmp_path / "test.jsonl"
    if text is not None:
        file.write_text(text)
    status, out, err = tdmr1("prompts", "letter", "--exclude", str(file))
    assert (status, out) == (1, "")
    assert error.format(file=file) in err


@pytest.mark.parametrize("name", ["geneval", "ocr"])
def test_our_own_start_without_what_is_heavy(name):
    code = (
        "import atexit, sys; from tdmr1.cli import main;"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
        f"sys.argv = ['tdmr1', 'prompts', {name!r}, '--n', '3']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len(lines(done.stdout)) == 3
    heavy = {"numpy", "torch", "cv2", "PIL", "onnxruntime", "rapidocr", "transformers"}
    assert not heavy & {*done.stderr.split()}
