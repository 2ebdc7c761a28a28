import json

import pytest

from tdmr1.errors import UserError
from tdmr1.trainers import students
from tdmr1.trainers.config import TrainConfig

PUBLISHED = "Luo-Yihong/TDM_sd3_lora"


@pytest.fixture
def find(generator, monkeypatch, tmp_path):
    """`find_student` where the Hub has everything, at `tmp_path`."""
    monkeypatch.setattr(students, "student_path", lambda student: tmp_path)
    return lambda model="tiny", **options: students.find_student(
        TrainConfig(model=model, **options), generator
    )


def test_a_published_student_has_the_weight_of_its_page_unless_told_otherwise(find, tmp_path):
    shift = {"shift": 6}
    assert find(student=PUBLISHED, generator=shift) == (tmp_path, 0.125)
    assert find(student=PUBLISHED, generator=shift, student_weight=0.5) == (tmp_path, 0.5)
    assert find(student="Luo-Yihong/TDM-R1") == (tmp_path, 1.0)
    assert find(student="any/other") == (tmp_path, 1.0)
    assert find(student="any/other", student_weight=2) == (tmp_path, 2.0)


def test_a_published_student_of_another_shift_is_asked_about(find):
    with pytest.raises(UserError, match=r"shift 6, and this model has 3; say which: --set gen"):
        find(student=PUBLISHED)
    assert find(student=PUBLISHED, generator={"shift": 3.0})[1] == 0.125


TURBO, Z_IMAGE = "Tongyi-MAI/Z-Image-Turbo", "Tongyi-MAI/Z-Image"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("README.md", f"---\nbase_model: {TURBO}\n---\n"),
        ("README.md", f"---\nbase_model:\n- org/other\n- {TURBO}\n---\n"),
        ("adapter_config.json", json.dumps({"base_model_name_or_path": TURBO})),
    ],
)
def test_a_lora_that_says_it_is_of_another_base_is_refused(find, tmp_path, file, content):
    (tmp_path / file).write_text(content)
    with pytest.raises(UserError, match=rf"another base: .*{TURBO}, and .* {Z_IMAGE}\n.*--model"):
        find(Z_IMAGE, student="any/other")
    for model in (TURBO, "tiny", str(tmp_path)):
        assert find(model, student="any/other") == (tmp_path, 1.0)


def test_so_is_a_published_one(find):
    with pytest.raises(UserError, match=r"another base.*3-medium-diffusers, .*3\.5-medium"):
        find("stabilityai/stable-diffusion-3.5-medium", student=PUBLISHED)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("README.md", "no metadata"),
        ("README.md", "---\na: [\n---\n"),
        ("README.md", "---\nbase_model: ./here\n---\n"),
        ("adapter_config.json", "{"),
        ("adapter_config.json", "[]"),
    ],
)
def test_one_that_says_nothing_is_taken_at_its_shapes(find, tmp_path, file, content):
    (tmp_path / file).write_text(content)
    assert find(Z_IMAGE, student="any/other") == (tmp_path, 1.0)
