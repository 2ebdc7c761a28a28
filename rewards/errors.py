"""What can go wrong with a reward. Each text says what to type next."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tdmr1.errors import UserError
from tdmr1.missing import remedy
from tdmr1.rewards.texts import told


class RewardError(UserError):
    """A reward cannot be used."""


class RewardSpecInvalid(RewardError):
    """`--reward` was given something that is not `NAME[=WEIGHT][@PLACE]`."""


class RewardOptionInvalid(RewardError):
    """A reward has no such option, or its value is of another type."""


class GateInvalid(RewardError):
    """`--gate` was given something that is not a comparison, or one that decides nothing."""


class RewardNotFound(RewardError):
    """No such reward, file, module or function."""


class RewardBroken(RewardError):
    """The reward is there, but its code cannot be imported, or is not what the contract asks."""


class WeightsMissing(RewardError):
    """Published weights are not on this machine; the text is the command that fetches them."""


class RewardFailed(RewardError):
    """`Reward.score` raised; the original exception is the `__cause__`."""


class RewardTimeout(RewardError):
    """`Reward.score` did not return within the time limit."""


class RewardAnswerInvalid(RewardError):
    """`Reward.score` returned something else than one finite score in range per sample."""


class RewardLost(RewardError):
    """Whoever scores elsewhere is lost: it ended, hung, cannot be reached, or spoke nonsense."""


class RewardRefused(RewardError):
    """Whoever scores elsewhere will not: a wrong token, another reward, version or contract."""


class EnvironmentFailed(RewardError):
    """A reward's own environment cannot be made, found or removed."""


class RewardsAllAbstain(RewardError):
    """No reward has an opinion about any prompt."""


@contextlib.contextmanager
def blaming(what: str, distribution: str = "") -> Iterator[None]:
    """Turn whatever a reward's own code raises into "`what`: ValueError: ...", and a remedy.

    Args:
        what: went wrong.
        distribution: that brings the code; "" of a file or module.

    Raises:
        RewardBroken: chained from the original exception, also from SystemExit, as code that
            gives up must not end the run unseen; a `UserError` passes as it is.
    """
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise RewardBroken(advised(f"{what}: {told(error)}", error, distribution)) from error


def advised(text: str, error: BaseException, distribution: str = "") -> str:
    """A text about what a reward's code raised, and beneath it what may help, if that is known."""
    advice = remedy(error, distribution)
    return f"{text}\ntry: {advice}" if advice else text
