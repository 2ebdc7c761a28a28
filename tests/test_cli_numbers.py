"""Numbers of the command line: durations, and what is not finite."""

import pytest
import typer

from tdmr1.cli.duration import seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", 7200),
        ("90m", 5400),
        ("1h30m", 5400),
        ("45s", 45),
        ("1d12h", 129600),
        ("2:00:00", 7200),
        ("0:01:05", 65),
        ("1-12:00:00", 129600),
        (" 2H ", 7200),
    ],
)
def test_durations(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "2", "1.5h", "1:30", "2:75:00", "0s", "-1h", "h", "inf", "nan", "30m2h", "9" * 30]
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(typer.BadParameter, match=r"is no duration; write e\.g\. 2h, 90m"):
        seconds(text)


@pytest.mark.parametrize(
    "arguments",
    [
        ("rewards", "score", "ocr", ".", "--prompts", "p.txt", "--reward-timeout", "nan"),
        ("rewards", "check", "ocr", "--load-timeout", "inf"),
        ("plan", "--card-memory", "inf"),
        ("bench", "rewards", "--seconds", "nan"),
    ],
)
def test_what_is_not_finite_is_refused(tdmr1, arguments):
    status, _, err = tdmr1(*arguments)
    assert status == 2
    assert f"Invalid value for '{arguments[-2]}'" in err
