"""Lines of results as GenEval's `evaluate_images.py` writes them, for its `summary_scores.py`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tdmr1.errors import UserError
from tdmr1.files import replacing
from tdmr1.rewards.offline.pairing import Picture
from tdmr1.trainers.evaluation.scores import Scores
from tdmr1.trainers.writing import writing


def write_results(path: Path, pictures: Sequence[Picture], scores: Scores) -> None:
    """Write a JSON line for each of N pictures that has a verdict.

    A line has `filename`, `tag`, `prompt`, `correct`, `reason` ("" where it is correct),
    `metadata`, the prompt's line as a text, and `details`, likewise what the reward has seen: of
    GenEval the objects that count, class -> [x0, y0, x1, y1, confidence] each.

    Args:
        path: of the file; one that is there is replaced.
        pictures, scores: of the N.

    Raises:
        UserError: not exactly one reward gives verdicts; or the file cannot be written.
    """
    judges = [name for name, of in scores.outcomes.items() if {True, False} & {*of.passed}]
    if len(judges) != 1:
        raise UserError(
            f"--results takes one reward that gives verdicts, as geneval does; "
            f"{', '.join(judges) or 'none'} of {', '.join(scores.outcomes)} did"
        )
    outcomes = scores.outcomes[judges[0]]
    with writing(path), replacing(path) as beside, beside.open("w", encoding="utf-8") as file:
        for index, picture in enumerate(pictures):
            if (correct := outcomes.passed[index]) is None:
                continue
            line = {
                "filename": picture.file,
                "tag": scores.tags[index],
                "prompt": picture.prompt,
                "correct": correct,
                "reason": "" if correct else outcomes.reasons[index],
                "metadata": json.dumps({**picture.metadata, "prompt": picture.prompt}),
                "details": json.dumps(dict(outcomes.details[index])),
            }
            file.write(json.dumps(line) + "\n")
