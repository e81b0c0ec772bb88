"""Commands call functions: options are keywords, and errors name options."""

from argparse import Namespace

import pytest

from distsnn.cli.function_calls import call_function, option_errors
from distsnn.errors import DescriptionError
from distsnn.extras import MissingExtraError


def compute(network: str, *, mem_limit: int, seed: int = 1, rates: str = "") -> list[object]:
    return [network, mem_limit, seed, rates]


def test_options_are_keywords_of_the_same_name() -> None:
    options = Namespace(network="not this", mem_limit=3, seed=None, other=5)
    assert call_function(compute, options, "E", seed=7) == ["E", 3, 7, ""]


@pytest.mark.parametrize(
    ("where", "option"),
    [
        ("mem_limit", "--mem-limit"),
        ("rates a_b.json", "--rates a_b.json"),
        ("rates a_b.json: rate of population 'E'", "--rates a_b.json: rate of population 'E'"),
        ("rates of population 'E'", "rates of population 'E'"),
        ("mem_limits", "mem_limits"),
        ("", ""),
    ],
)
def test_an_error_names_the_option(where: str, option: str) -> None:
    options = Namespace(mem_limit=3, rates="a_b.json")
    error = DescriptionError("is wrong", where=where, value=3, allowed="4", nearest="x")
    error.mark = True  # type: ignore[attr-defined]
    with pytest.raises(DescriptionError) as caught, option_errors(options, "mem_limit", "rates"):
        raise error
    assert caught.value is error
    assert vars(error)["mark"]
    expected = DescriptionError("is wrong", where=option, value=3, allowed="4", nearest="x")
    assert str(error) == str(expected)
    assert error.where == option


def test_an_error_without_a_place_keeps_its_class() -> None:
    options, text = Namespace(plot=None), "'dask' of the extra 'analysis'"
    with pytest.raises(MissingExtraError, match=text), option_errors(options, "plot"):
        raise MissingExtraError("dask", "analysis")
