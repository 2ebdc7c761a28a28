"""What can go wrong with a queue of pictures and with a vote. Each text says what to do next."""

from __future__ import annotations

from tdmr1.rewards.errors import RewardError


class QueueInvalid(RewardError):
    """The file is no queue, or one that this version cannot read."""


class QueueFailed(RewardError):
    """The queue cannot be read or written, e.g. as its disk is full. Nothing was half-written."""


class ImageGone(RewardError):
    """There is no such picture in the queue, or no more."""


class VoterUnknown(RewardError):
    """Nobody of that name has joined."""


class NameInvalid(RewardError):
    """What was given as a voter's name is none."""


class VoteRefused(RewardError):
    """A vote that does not count: the picture is gone, somebody else's, or was voted on."""


class TokenInvalid(RewardError):
    """What was given as a token is none."""


class ServerRefused(RewardError):
    """The address cannot be listened on."""


class FileRefused(RewardError):
    """A file of votes cannot be written or read; of one that is read nothing was kept."""
