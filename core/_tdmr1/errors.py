"""The base class of errors that are the user's to solve."""

from __future__ import annotations


class UserError(Exception):
    """Something that the user can put right; its text says what to type next.

    The command line prints the text alone, without a traceback (`tdmr1 --debug` shows it).
    """
