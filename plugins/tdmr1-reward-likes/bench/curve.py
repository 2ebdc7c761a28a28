"""The curve of votes against the share of pictures that follow the hidden rule.

    python curve.py tell RUN "votes alone" >> curve.jsonl    # a line of figures of a run folder
    python curve.py draw                                     # all lines as ../images/curve.png

`tell` reads evaluations from the run folder of a training, and votes from its queue: those on
pictures that were drawn before. Drawing needs `pip install 'tdmr1[report]'`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tdmr1_reward_likes.store import Store

HERE = Path(__file__).parent
AIM = 0.85
"""What 600 votes are to reach."""
COLORS = "#2f6fde", "#d1560f", "#1a8a5a", "#a13fb5"


def tell(run: Path, what: str) -> dict[str, Any]:
    """Iterations of a run, and before each: votes, share by the rule, GenEval's verdict."""
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    store = Store(run.parent / config["reward_options"]["likes"]["queue"])
    drawn = {posted.id: posted.iteration or 0 for posted in store.images()}
    last = {(vote.image, vote.voter): vote.liked for vote in store.all_votes()}
    voted = [drawn[image] for (image, _), liked in last.items() if liked is not None]
    store.close()
    told: dict[str, Any] = {"what": what, "seed": config["seed"]}
    told |= {name: [] for name in ("iteration", "votes", "blue", "geneval")}
    for text in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        for name in line:
            if name.startswith("heldout/") and name.endswith("hidden_rule.py:blue"):
                told["iteration"].append(line["iteration"])
                told["votes"].append(sum(at < line["iteration"] for at in voted))
                told["blue"].append(round(line[name], 3))
                told["geneval"].append(round(line["heldout/geneval/overall"], 3))
    return told


def draw(runs: Sequence[dict[str, Any]], file: Path) -> None:
    """Votes across, the share upwards: a colour for each thing tried, dashes but for seed 0."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(AIM, color="#444a54", linewidth=1, linestyle=(0, (1, 2)))
    tried = [*dict.fromkeys(run["what"] for run in runs)]
    for run in runs:
        axes.plot(
            run["votes"], run["blue"], "--" if run["seed"] else "-", marker="o", markersize=4,
            color=COLORS[tried.index(run["what"]) % len(COLORS)],
            label=f"{run['what']}, seed {run['seed']}",
        )  # fmt: skip
    axes.set(xlabel="votes", ylabel="share with something blue", ylim=(0.3, 1))
    axes.grid(axis="y", color="#dfe3ea")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, ncols=2, loc="outside upper center")
    figure.savefig(file, dpi=150, facecolor="white")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    told = commands.add_parser("tell", help="one line of JSON of a run")
    told.add_argument("run", type=Path, help="its folder")
    told.add_argument("what", help="that was tried, for the legend")
    drawn = commands.add_parser("draw", help="draw such lines")
    drawn.add_argument("lines", type=Path, nargs="?", default=HERE / "curve.jsonl")
    drawn.add_argument("file", type=Path, nargs="?", default=HERE.parent / "images" / "curve.png")
    given = parser.parse_args()
    if given.command == "tell":
        print(json.dumps(tell(given.run, given.what)))
    else:
        lines = given.lines.read_text(encoding="utf-8").splitlines()
        draw([json.loads(line) for line in lines], given.file)
