import pytest

from tdmr1.rewards.errors import RewardError
from tdmr1.rewards.spec import RewardSpec


@pytest.mark.parametrize(
    ("text", "name", "weight", "function"),
    [
        ("ocr", "ocr", 1.0, None),
        ("ocr=0.5", "ocr", 0.5, None),
        (" ocr = 2e-1 ", "ocr", 0.2, None),
        ("./my.py:score", "./my.py:score", 1.0, ("./my.py", "score")),
        ("./a=b/my.py:score=3", "./a=b/my.py:score", 3.0, ("./a=b/my.py", "score")),
        ("package.module:score=0.5", "package.module:score", 0.5, ("package.module", "score")),
    ],
)
def test_parse(text, name, weight, function):
    spec = RewardSpec.parse(text)
    assert (spec.name, spec.weight, spec.function) == (name, weight, function)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "needs a name"),
        ("=1", "needs a name"),
        ("ocr=", "not a number"),
        ("ocr=much", "'much'"),
        ("ocr=0", "finite and > 0"),
        ("ocr=-1", "finite and > 0"),
        ("ocr=nan", "finite and > 0"),
        ("ocr=inf", "finite and > 0"),
        ("./my.py", "--reward ./my.py:score"),
        ("./my.py:", "incomplete"),
        (":score", "incomplete"),
    ],
)
def test_a_bad_spec_says_what_is_expected(text, says):
    with pytest.raises(RewardError, match=says):
        RewardSpec.parse(text)
