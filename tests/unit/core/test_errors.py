import pytest

from heedful.core.errors import ConfigError, HeedfulError, Interrupted, nearest


def test_message_is_what_happened_then_what_to_do():
    assert str(ConfigError("the box is shut", "Open it.")) == "the box is shut\nOpen it."


def test_message_without_a_hint_is_one_line():
    assert str(ConfigError("the box is shut")) == "the box is shut"


def test_every_error_of_ours_is_a_heedful_error():
    assert issubclass(ConfigError, HeedfulError)
    assert issubclass(Interrupted, HeedfulError)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("klcoef", "kl_coef"),
        ("kl-coef", "kl_coef"),
        ("KL_COEF", "kl_coef"),
        ("kl_coeff", "kl_coef"),
        ("gamma", None),
    ],
)
def test_nearest_ignores_separators_and_case(typed, meant):
    assert nearest(typed, ["kl_coef", "ptx_coef", "episodes"]) == meant
