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


def test_what_is_late_holds_from_its_start_and_what_is_none_stays():
    options = TDMR1Options(
        trunc_steps=4, surrogate_draws=2, late={"start": 5, "trunc_steps": 0, "surrogate_ema": 0.9}
    )
    assert options.at(0) == options.at(4) == options
    late = options.at(5)
    assert options.at(500) == late
    changed = {
        key for key in TDMR1Options.model_fields if getattr(late, key) != getattr(options, key)
    }
    assert changed == {"trunc_steps", "surrogate_ema"}
    assert (late.trunc_steps, late.surrogate_ema) == (0, 0.9)


def test_without_a_start_nothing_is_late():
    options = TDMR1Options(late={"trunc_steps": 0})
    assert options.at(500) == options


@pytest.mark.parametrize(("key", "value"), [("batch", 8), ("surrogate_draws", 0), ("start", -1)])
def test_what_cannot_be_late_raises_and_names_the_key(key, value):
    with pytest.raises(pydantic.ValidationError, match=f"late.{key}"):
        TDMR1Options(late={key: value})
