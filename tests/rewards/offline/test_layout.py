import json

import numpy as np
import pytest
from PIL import Image

from tdmr1.errors import UserError
from tdmr1.rewards.offline.layout import LayoutWriter, read_layout, read_pictures
from tdmr1.rewards.offline.pictures import read_rgb
from tdmr1.rewards.prompts import PromptLine

STAR = PromptLine("a star", {"tag": "single_object", "include": [{"class": "star"}]})
SIGN = PromptLine("a sign", {"tag": "sign"})


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path, images):
    LayoutWriter(tmp_path / "out").add(images, [STAR, SIGN, STAR])
    return tmp_path / "out"


def test_what_is_written_is_geneval_s_layout_and_read_again(folder, images):
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert files == [
        "00000/metadata.jsonl",
        "00000/samples/0000.png",
        "00000/samples/0001.png",
        "00001/metadata.jsonl",
        "00001/samples/0000.png",
    ]
    line = json.loads((folder / "00000/metadata.jsonl").read_text())
    assert line == {"prompt": "a star", **STAR.metadata}
    pictures = read_layout(folder)
    assert [(p.prompt, p.metadata) for p in pictures] == [STAR, STAR, SIGN]
    for picture, image in zip(pictures, images[[0, 2, 1]], strict=True):
        np.testing.assert_array_equal(read_rgb(picture.path), image)


def test_grids_and_other_folders_are_no_samples(folder, images):
    Image.fromarray(images[0]).save(folder / "00000" / "grid.png")
    (folder / "logs").mkdir()
    assert len(read_layout(folder)) == 3


def test_a_batch_goes_on_where_the_last_ended(tmp_path, images):
    writer = LayoutWriter(tmp_path / "out")
    writer.add(images[:2], [STAR, SIGN])
    writer.add(images[2:], [STAR])
    assert [p.prompt for p in read_layout(tmp_path / "out")] == ["a star", "a star", "a sign"]


def test_nothing_is_written_over(folder):
    with pytest.raises(UserError, match="exists already"):
        LayoutWriter(folder)


def test_images_without_metadata_are_told(folder):
    (folder / "00001" / "metadata.jsonl").unlink()
    with pytest.raises(UserError, match=r"00001/samples has images without metadata"):
        read_layout(folder)


def test_metadata_without_images_is_told(folder):
    (folder / "00001" / "samples" / "0000.png").unlink()
    with pytest.raises(UserError, match=r"no image in .*00001/samples"):
        read_layout(folder)
    (folder / "00001" / "samples").rmdir()
    with pytest.raises(UserError, match=r"00001/metadata\.jsonl has no images"):
        read_layout(folder)


def test_a_folder_has_one_prompt(folder):
    with (folder / "00000" / "metadata.jsonl").open("a") as file:
        file.write('{"prompt": "another"}\n')
    with pytest.raises(UserError, match="has 2 prompts; it needs one"):
        read_layout(folder)


def test_a_folder_of_images_alone_needs_a_prompt_file(tmp_path, images):
    Image.fromarray(images[0]).save(tmp_path / "0.png")
    with pytest.raises(UserError, match=r"no .*00000/metadata\.jsonl.*\n.*--prompts FILE"):
        read_pictures([tmp_path], None)
    (tmp_path / "p.txt").write_text("a star\n")
    assert [p.prompt for p in read_pictures([tmp_path], tmp_path / "p.txt")[0]] == ["a star"]
    with pytest.raises(UserError, match="there is no file or folder"):
        read_layout(tmp_path / "nowhere")
