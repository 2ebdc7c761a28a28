"""Drawn words, by what makes them hard to read, to compare engines on.

    tdmr1 rewards compare ocr --engines rapidocr,tesseract

or, for words in further fonts, too,

    python -m tdmr1_reward_ocr.words words --font FILE
    tdmr1 rewards compare ocr words --engines rapidocr,tesseract

The same on every machine, except for other versions of Pillow and OpenCV.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from tdmr1.rewards import Image
from tdmr1.rewards.offline.layout import LayoutWriter
from tdmr1.rewards.prompts import PromptLine
from tdmr1_reward_ocr.goldens import goldens

SIDE = 256
"""Pixels of an image's sides."""

PLAIN = ("OPEN", "Coffee", "MARKET", "Exit 24", "hotel", "Library", "SALE 50%", "Jazz")
SIZES = (8, 12, 16, 24, 48)
ANGLES = (5, 15, 30, 45, 60, 90, 180, 270)
CONTRASTS = (0.5, 0.2, 0.1, 0.05)
NOISES = (20, 50, 80)
OPENCV = {
    "OpenCV's simplex": cv2.FONT_HERSHEY_SIMPLEX,
    "OpenCV's complex": cv2.FONT_HERSHEY_COMPLEX,
    "OpenCV's script": cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
}
"""Fonts: strokes, or, from version 5 on, bold, black and slanted letters. All other words are in
Pillow's own font."""

HARD = {
    "doubled letters": ("BOOKKEEPER", "BALLOON", "Mississippi", "AAAA", "WWWW", "8800"),
    "look-alikes": ("IIII", "0O0O", "OOOO", "l1I|", "llll", "S5S5", "B8B8"),
    "spaced letters": ("A B C D E", "O P E N", "S A L E", "H O T E L"),
    "single letters": ("A", "B", "I", "O", "i", "o", "7", "!"),
    "two lines": ("GRAND\nOPENING", "NO\nPARKING", "Fresh\nBread", "Happy\nNew Year"),
}

OTHER = {
    "accents": ("Café", "Zürich", "naïve", "Ångström", "mañana"),
    "Greek": ("ΑΘΗΝΑ", "καφές"),
    "Cyrillic": ("ПРИВЕТ", "кафе"),
}
"""Words whose letters Pillow's own font does not have."""


@dataclasses.dataclass(frozen=True)
class Style:
    """How a word is drawn.

    Attributes:
        size: of the font, in pixels; of OpenCV's, the height of capitals.
        font: a file, "" for Pillow's own, or one of OPENCV.
        angle: degrees, counter-clockwise.
        contrast: between ink and paper, of black and white.
        noise: standard deviation, of 255.
    """

    size: int = 36
    font: str = ""
    angle: int = 0
    contrast: float = 1.0
    noise: int = 0


def words(fonts: Sequence[Path] = ()) -> Iterator[tuple[str, str, Image]]:
    """All words: a tag, what is to be read, and the image, uint8 (height, width, 3).

    Args:
        fonts: files of further fonts, which have all letters of OTHER.
    """
    styles = {f"{size} pixels": Style(size=size) for size in SIZES}
    styles |= {name: Style(font=name) for name in OPENCV}
    styles |= {font.stem: Style(font=str(font)) for font in fonts}
    styles |= {f"turned by {angle}": Style(angle=angle) for angle in ANGLES}
    styles |= {f"contrast {contrast}": Style(contrast=contrast) for contrast in CONTRASTS}
    styles |= {f"noise {noise}": Style(noise=noise) for noise in NOISES}
    for tag, style in styles.items():
        for text in PLAIN:
            yield tag, text, drawn(text, style)
    for tag, texts in HARD.items():
        for text in texts:
            yield tag, text.replace("\n", " "), drawn(text, Style())
    for tag, texts in OTHER.items():
        for font, text in itertools.product(fonts, texts):
            yield tag, text, drawn(text, Style(font=str(font)))
    for golden in goldens():
        yield "golden images", golden.prompt.split('"')[1], golden.good


def examples(fonts: Sequence[Path] = ()) -> Iterator[tuple[PromptLine, Image]]:
    """The same, each with the prompt of a sign that says it."""
    for tag, text, image in words(fonts):
        yield PromptLine(f'a sign that says "{text}"', {"tag": tag}), image


def drawn(text: str, style: Style) -> Image:
    """A text in the middle of a square, uint8 (SIDE, SIDE, 3); its noise depends on the text."""
    turned = _mask(text, style).rotate(style.angle, Pillow.Resampling.BICUBIC)
    ink = np.asarray(turned, np.float64)[..., None] / 255
    middle, half = 127.5, 127.5 * style.contrast
    image = np.repeat(middle + half - 2 * half * ink, 3, axis=-1)
    if style.noise:
        random = np.random.default_rng(list(text.encode()))
        image += random.normal(0.0, style.noise, image.shape)
    found: NDArray[np.uint8] = image.round().clip(0, 255).astype(np.uint8)
    return found


def _mask(text: str, style: Style) -> Pillow.Image:
    """Where the ink is."""
    if style.font in OPENCV:
        return _by_opencv(text, OPENCV[style.font], style.size)
    mask = Pillow.new("L", (SIDE, SIDE))
    font = ImageFont.load_default(style.size)
    if style.font:
        font = ImageFont.truetype(style.font, style.size)
    at = (SIDE / 2, SIDE / 2)
    ImageDraw.Draw(mask).multiline_text(at, text, 255, font, "mm", align="center")
    return mask


def _by_opencv(text: str, font: int, height: int) -> Pillow.Image:
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    scale = cv2.getFontScaleFromHeight(font, height, 2)
    (width, above), below = cv2.getTextSize(text, font, scale, 2)
    scale *= min(1.0, 0.9 * SIDE / width)
    (width, above), below = cv2.getTextSize(text, font, scale, 2)
    at = (SIDE - width) // 2, (SIDE + above - below) // 2
    cv2.putText(canvas, text, at, font, scale, (255,), 2, cv2.LINE_AA)
    return Pillow.fromarray(canvas)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tdmr1_reward_ocr.words",
        description="Draw words, in GenEval's layout, to compare engines on.",
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--font", type=Path, action="append", default=[], help="a further one")
    given = parser.parse_args()
    writer = LayoutWriter(given.folder)
    for prompt, image in examples(given.font):
        writer.add(image[None], [prompt])


if __name__ == "__main__":
    main()
