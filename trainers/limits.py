"""How far a run's student may go from where it began, before the guard says so."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tdmr1.core.options import Options


class GuardOptions(Options):
    """Limits against step 0, on the same prompts and noise; none switches one off.

    What each is compared with, and why it is what it is: docs/guard.md.
    """

    action: Literal["warn", "stop", "off"] = Field(
        "warn", description="where a figure crosses its limit: say so, or end the run, too"
    )
    kept: int = Field(
        8, ge=1, description="averaged students that are kept beside the best and the last good"
    )
    entropy: float | None = Field(
        0.85, gt=0, le=1, description="lowest ratio, of what prompts leave free"
    )
    tv: float | None = Field(
        0.3, gt=0, le=1, description="largest total variation distance of what prompts leave free"
    )
    diversity: float | None = Field(0.85, gt=0, le=1, description="lowest ratio")
    vendi: float | None = Field(0.8, gt=0, le=1, description="lowest ratio")
    precision: float | None = Field(0.5, gt=0, le=1, description="lowest, of the pictures")
    recall: float | None = Field(0.7, gt=0, le=1, description="lowest, of step 0's pictures")
    sharpness: float | None = Field(
        0.75, gt=0, le=1, description="lowest ratio; highest is 1 / it"
    )
    edge_density: float | None = Field(0.67, gt=0, le=1, description="likewise")
    chroma: float | None = Field(0.67, gt=0, le=1, description="likewise")
    dark: float | None = Field(0.05, gt=0, le=1, description="largest rise")
    saturated: float | None = Field(0.1, gt=0, le=1, description="largest rise")
    traits: float | None = Field(
        0.05, gt=0, description="largest change of the generator's own quantities, such as tint"
    )
    reward: float | None = Field(
        0.3, gt=0, description="largest fall of a held-out reward, in standard deviations"
    )
