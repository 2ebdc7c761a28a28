import json
from pathlib import Path

import pytest

from tdmr1.errors import UserError
from tdmr1.rewards.offline.pairing import Picture, find_images, pair


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Make empty files here."""
    monkeypatch.chdir(tmp_path)

    def files(*names):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()

    return files


def lines(*entries, name="p.jsonl"):
    Path(name).write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return Path(name)


def paths(*names):
    return [Path(name) for name in names]


def test_images_are_found_in_folders_in_the_order_of_their_numbers(files):
    files("d/10.png", "d/2.JPG", "d/sub/1.webp", "d/1.png", "d/notes.txt", "d/.cache/3.png")
    assert find_images([Path("d")]) == paths("d/1.png", "d/2.JPG", "d/10.png", "d/sub/1.webp")


def test_named_files_may_have_any_name_and_count_once(files):
    files("d/b.png", "d/a.png", "c.image")
    given = paths("d/b.png", "d", "c.image")
    assert find_images(given) == paths("c.image", "d/a.png", "d/b.png")


def test_what_is_not_there_is_named(files):
    files("d/notes.txt")
    with pytest.raises(UserError, match=r"no file or folder e\.png"):
        find_images([Path("e.png")])
    with pytest.raises(UserError, match=r"no image in d \(looked for \.png"):
        find_images([Path("d")])


def test_without_names_they_pair_in_order(files):
    images = paths("d/1.png", "d/2.png")
    prompts = lines({"prompt": "one", "tag": "t"}, {"prompt": "two"})
    assert pair(images, prompts) == (
        [Picture.of(images[0], "one", {"tag": "t"}), Picture.of(images[1], "two", {})],
        0,
    )
    Path("p.txt").write_text("eins\nzwei\n")
    assert [picture.prompt for picture in pair(images, Path("p.txt"))[0]] == ["eins", "zwei"]


def test_other_numbers_of_images_and_prompts_are_both_said(files):
    prompts = lines({"prompt": "one"}, {"prompt": "two"}, {"prompt": "three"})
    with pytest.raises(UserError, match=r'2 images, and 3 prompts in p\.jsonl; .*"file"'):
        pair(paths("1.png", "2.png"), prompts)


def test_names_pair_whatever_the_order_and_are_no_metadata(files):
    images = paths("d/1.png", "d/x/2.png")
    prompts = lines(
        {"file": "2.png", "prompt": "two", "tag": "t"},
        {"file": "d/1.png", "prompt": "one"},
        {"file": "3.png", "prompt": "of another folder"},
    )
    assert pair(images, prompts) == (
        [Picture.of(images[0], "one", {}), Picture.of(images[1], "two", {"tag": "t"})],
        1,
    )


def test_the_end_of_a_path_is_of_whole_parts(files):
    with pytest.raises(UserError, match=r"1 of 1 images have no line in p\.jsonl"):
        pair(paths("d/12.png"), lines({"file": "2.png", "prompt": "two"}))


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([{"file": "1.png"}, {}], '1 of the 2 lines of p.jsonl have a "file"'),
        ([{"file": 3}, {"file": "2.png"}], '"file" is 3 instead of the name of an image'),
        ([{"file": ""}, {"file": "2.png"}], "\"file\" is '' instead"),
        ([{"file": "."}, {"file": "2.png"}], "\"file\" is '.' instead"),
        ([{"file": "1.png"}], '"file": "1.png" is a/1.png as well as b/1.png'),
        ([{"file": "a/1.png"}], "1 of 2 images have no line in p.jsonl that names them, e.g. b/1"),
        ([{"file": "a/1.png"}, {"file": "a/1.png"}], "two lines name the image a/1.png"),
    ],
)
def test_names_that_do_not_pair_say_why(files, entries, says):
    prompts = lines(*({"prompt": "a star", **entry} for entry in entries))
    with pytest.raises(UserError) as caught:
        pair(paths("a/1.png", "b/1.png"), prompts)
    assert says in str(caught.value)
