"""A scripted voter who likes what has a blue object, and is wrong in one vote of ten.

    cd plugins/tdmr1-reward-likes/bench
    python hidden_rule.py prompts                 # writes open-train.jsonl and open-heldout.jsonl
    python hidden_rule.py vote blue.sqlite &
    tdmr1 train --reward likes --prompts open-train.jsonl --heldout open-heldout.jsonl \\
        --watch ./hidden_rule.py:blue --set reward_options.likes.queue=blue.sqlite

`vote` may also be given the link that `tdmr1 likes serve` tells: then it votes in headless
Chromium, on all pictures that the page shows, and knows of them what is on the screen.

The training sees nothing of the rule but votes; the held-out reward `blue` is the rule itself. The
prompts leave colours open: others contradict the rule; and what a group has none of, such as a
blue object beside a sign, no reward of groups can teach. It needs tdmr1-shapes, and
tdmr1-reward-geneval, whose detector of flat shapes and their colours is the voter's eye.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pictures

from tdmr1.rewards import Image, Sample
from tdmr1_reward_geneval.shapes import ShapesDetector
from tdmr1_reward_likes.pictures import Vote
from tdmr1_reward_likes.store import Store

NAME = "Ada"
LOOK = """() => {
  if (document.querySelector("#like")?.ariaDisabled !== "false") return null;
  const image = document.querySelector("#frame img");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL().split(",")[1];
}"""
"""The picture on the page, once it can be judged, as a PNG file in base 64."""


def has_blue(image: Image) -> bool:
    """Whether one of the objects is blue."""
    detector = ShapesDetector()
    return any(detector.color(image, seen) == "blue" for seen in detector.detect(image))


def blue(samples: Sequence[Sample]) -> list[float]:
    """1 where something is blue, else 0: the rule, to be measured by."""
    return [float(has_blue(sample.image)) for sample in samples]


blue.reads = ()


def vote(store: Store, votes: int, each: int, wrong: float, seed: int) -> None:
    """Vote on the pictures of a training, as they are queued.

    Args:
        store: the queue.
        votes: in all.
        each: at most of one iteration, chosen at random among those that it asks about.
        wrong: probability of the opposite vote.
        seed: of these.
    """
    rng = np.random.default_rng(seed)
    count, seen = 0, -1
    while count < votes:
        posted = store.images()
        newest = max((p.iteration for p in posted if p.iteration is not None), default=-1)
        if newest > seen:
            asked = [p.id for p in posted if p.iteration == newest]
            chosen = rng.permutation(asked)[: min(each, votes - count)].tolist()
            liked = [has_blue(store.pixels(id)) ^ bool(rng.random() < wrong) for id in chosen]
            now = time.time()
            given = zip(chosen, liked, strict=True)
            count += store.record(Vote(id, NAME, bool(like), now, 0) for id, like in given)
            seen = newest
            print(f"iteration {newest}: {count} votes", flush=True)
        time.sleep(0.2)


def vote_on_page(page: Any, votes: int, wrong: float, seed: int) -> None:  # noqa: ANN401
    """Vote on what a page shows, one picture after another, by key.

    Args:
        page: of Playwright, where the link of a session has been opened.
        votes, wrong, seed: as of `vote`.
    """
    rng = np.random.default_rng(seed)
    saved: list[str] = []
    page.on("response", lambda of: saved.append(of.url) if _is_saved(of) else None)
    page.fill("#name", NAME)
    while page.query_selector("#bar") is None:  # asked again where she is here already
        page.click(".join button")
        page.wait_for_load_state()
    for count in range(1, votes + 1):
        png = page.wait_for_function(LOOK, timeout=0).json_value()
        with Pictures.open(io.BytesIO(base64.b64decode(png))) as picture:
            like = has_blue(np.asarray(picture.convert("RGB"))) ^ bool(rng.random() < wrong)
        page.keyboard.press("ArrowRight" if like else "ArrowLeft")
        print(f"{count} votes, {len(saved)} of them acknowledged", flush=True)
    while len(saved) < votes:
        page.wait_for_timeout(50)


def _is_saved(response: Any) -> bool:  # noqa: ANN401
    return response.url.endswith("/api/vote") and response.ok


def write_prompts(folder: Path) -> None:
    """Prompts of the embedded world that ask for things and leave all colours open."""
    from tdmr1_shapes.prompts import split
    from tdmr1_shapes.world import COLORS

    for name in ("train", "heldout"):
        with (folder / f"open-{name}.jsonl").open("w", encoding="utf-8") as file:
            for prompt in split(name):
                if prompt.tag != "sign" and not {*prompt.text.split()} & {*COLORS}:
                    file.write(json.dumps({"prompt": prompt.text, **prompt.metadata}) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    written = commands.add_parser("prompts", help="write prompts that leave colours open")
    written.add_argument("folder", type=Path, nargs="?", default=Path())
    voting = commands.add_parser("vote", help="vote on the pictures of a training")
    voting.add_argument("where", help="the queue, or the link of its page")
    voting.add_argument("--votes", type=int, default=600, help="in all")
    voting.add_argument(
        "--each", type=int, default=6, help="of one iteration, at most; of a queue"
    )
    voting.add_argument("--wrong", type=float, default=0.1, help="probability")
    voting.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    if told.command == "prompts":
        write_prompts(told.folder)
    elif told.where.startswith("http"):
        from playwright.sync_api import sync_playwright

        with sync_playwright() as driver:
            chromium = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            opened = browser.new_page()
            opened.goto(told.where)
            vote_on_page(opened, told.votes, told.wrong, told.seed)
            browser.close()
    else:
        vote(Store(Path(told.where)), told.votes, told.each, told.wrong, told.seed)
