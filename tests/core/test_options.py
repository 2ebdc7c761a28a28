import pydantic
import pytest

from tdmr1.core.options import TDMOptions, TDMR1Options


@pytest.mark.parametrize("kind", [TDMOptions, TDMR1Options])
def test_defaults_are_possible_and_frozen(kind):
    options = kind()
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        options.rank = 3


@pytest.mark.parametrize(
    ("key", "value"),
    [("student_Ir", 1e-4), ("steps", 0), ("ema", 1.0), ("guidance", 0.5), ("boundaries", 5)],
)
def test_unknown_keys_and_impossible_values_raise_and_name_the_key(key, value):
    with pytest.raises(pydantic.ValidationError, match=key):
        TDMOptions(**{key: value})


def test_the_first_boundary_is_one_of_the_trajectory():
    with pytest.raises(pydantic.ValidationError, match="boundaries 0 to steps - 1 = 1; lower it"):
        TDMR1Options(steps=2, first_boundary=2)
    assert TDMR1Options(steps=2, first_boundary=1).first_boundary == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"batch": 9, "parts": 2}, "batch = 9 cannot be split into parts = 2"),
        ({"groups": 6, "batch": 8, "parts": 4}, "groups = 6 cannot be split into parts = 4"),
    ],
)
def test_parts_are_of_one_size_and_of_whole_groups(options, error):
    with pytest.raises(pydantic.ValidationError, match=error):
        TDMR1Options(**options)
    assert TDMR1Options(groups=6, batch=8, parts=2).parts == 2
