"""Photographs of scikit-image with prompts, and a picture of what the reward says of them.

python -m tdmr1_geneval_centernet.show write FOLDER
python -m tdmr1_geneval_centernet.show draw FOLDER SCORES PICTURE [MODEL]
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from tdmr1.rewards.offline.layout import LayoutWriter, read_layout
from tdmr1.rewards.offline.pictures import read_rgb
from tdmr1.rewards.prompts import PromptLine
from tdmr1_geneval_centernet.detector import CenterNet
from tdmr1_reward_geneval.detector import Detector
from tdmr1_reward_geneval.verdict import COUNTING_THRESHOLD, THRESHOLD

WIDTH, HEIGHT, TEXT = 330, 220, 92
"""Of a photograph in the picture, and of what stands below it, in pixels."""

COLUMNS = 4

RIGHT, WRONG, UNSEEN = (20, 130, 50), (190, 30, 30), (150, 150, 150)


def clause(label: str, count: int = 1, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"class": label, "count": count, **more}


ASKED: tuple[tuple[tuple[str, ...], str, str, list[dict[str, Any]]], ...] = (
    (("coffee",), "a photo of a cup", "single_object", [clause("cup")]),
    (("coffee",), "a photo of a red cup", "colors", [clause("cup", color="red")]),
    (
        ("coffee",),
        "a photo of a cup and a dining table",
        "two_object",
        [clause("cup"), clause("dining table")],
    ),
    (("chelsea",), "a photo of a cat", "single_object", [clause("cat")]),
    (("astronaut",), "a photo of a person", "single_object", [clause("person")]),
    (("astronaut",), "a photo of two people", "counting", [clause("person", 2)]),
    *(
        (
            ("astronaut", "coffee"),
            f"a photo of a person {relation} a dining table",
            "position",
            [clause("dining table"), clause("person", position=[relation, 0])],
        )
        for relation in ("above", "below")
    ),
)
"""Photographs, one above the other, and a prompt with its tag and clauses. `coffee` is by Rachel
Michetti, `chelsea` by Stefan van der Walt (both CC0), `astronaut` by NASA (public domain)."""


def write(folder: Path) -> None:
    """The photographs with their prompts, in GenEval's layout."""
    import skimage  # type: ignore[import-not-found]

    shipped = Path(skimage.__file__).parent / "data"
    writer = LayoutWriter(folder)
    for names, text, tag, include in ASKED:
        parts = [Pillow.open(shipped / f"{name}.png").convert("RGB") for name in names]
        width = min(part.width for part in parts)
        scaled = [part.resize((width, part.height * width // part.width)) for part in parts]
        image = np.vstack([np.asarray(part) for part in scaled])
        writer.add(image[None], [PromptLine(text, {"tag": tag, "include": include})])


def draw(folder: Path, scores: Path, picture: Path, detector: Detector) -> None:
    """Each photograph with the boxes of what was found, green where it counts, grey where it does
    not, and below it the prompt and the reward's answer."""
    lines = [json.loads(line) for line in scores.read_text(encoding="utf-8").splitlines()]
    said = {line["file"]: line for line in lines}
    pictures = read_layout(folder)
    rows = -(-len(pictures) // COLUMNS)
    sheet = Pillow.new("RGB", (COLUMNS * WIDTH, rows * (HEIGHT + TEXT)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for index, one in enumerate(pictures):
        row, column = divmod(index, COLUMNS)
        left, top = column * WIDTH, row * (HEIGHT + TEXT)
        image = read_rgb(one.path)
        scale = min((WIDTH - 10) / image.shape[1], (HEIGHT - 6) / image.shape[0])
        size = round(image.shape[1] * scale), round(image.shape[0] * scale)
        sheet.paste(Pillow.fromarray(image).resize(size), (left, top))
        least = COUNTING_THRESHOLD if one.metadata["tag"] == "counting" else THRESHOLD
        labels = {clause["class"] for clause in one.metadata["include"]}
        seen = [thing for thing in detector.detect(image) if thing.confidence > THRESHOLD]
        for number, thing in enumerate(seen):
            counts = thing.confidence > least and thing.label in labels
            corners = zip(thing.box, (left, top) * 2, strict=True)
            box = [round(edge * scale) + offset for edge, offset in corners]
            pen.rectangle(box, outline=RIGHT if counts else UNSEEN, width=3)
            text = f"{thing.label} {thing.confidence:.2f}"
            # Above and below in turn, as boxes lie in one another.
            at = (box[0] + 4, box[3] - 23 if number % 2 else box[1] + 3)
            pen.rectangle(pen.textbbox(at, text, font), fill="white")
            pen.text(at, text, RIGHT if counts else UNSEEN, font)
        line = said[one.file]
        passed = line["passed"]
        pen.text((left, top + size[1] + 4), one.prompt, "black", font)
        answer = f"{line['value']:.2f}, {line['reason']}"
        told = "\n".join(textwrap.wrap(answer, 44))
        pen.text((left, top + size[1] + 24), told, RIGHT if passed else WRONG, font)
    sheet.save(picture)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", folder]:
            write(Path(folder))
        case ["draw", folder, scores, picture]:
            draw(Path(folder), Path(scores), Path(picture), CenterNet())
        case ["draw", folder, scores, picture, model]:
            draw(Path(folder), Path(scores), Path(picture), CenterNet(model))
        case _:
            sys.exit(__doc__)
