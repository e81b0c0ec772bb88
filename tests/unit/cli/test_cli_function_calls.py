"""Commands call functions: options are keywords, and errors name options."""

from argparse import Namespace

import pytest

from distsnn.cli.function_calls import call_function, option_errors
from distsnn.errors import DescriptionError, InputError, UsageError
from distsnn.extras import MissingExtraError


def compute(network: str, *, mem_limit: int, seed: int = 1, rates: str = "") -> list[object]:
    return [network, mem_limit, seed, rates]


def test_options_are_keywords_of_the_same_name() -> None:
    options = Namespace(network="not this", mem_limit=3, seed=None, other=5)
    assert call_function(compute, options, "E", seed=7) == ["E", 3, 7, ""]


@pytest.mark.parametrize("kind", [DescriptionError, UsageError])
@pytest.mark.parametrize(
    ("where", "option"),
    [
        ("mem_limit", "--mem-limit"),
        ("rates a_b.json", "--rates a_b.json"),
        ("rates a_b.json: rate of population 'E'", "--rates a_b.json: rate of population 'E'"),
        ("rates, population 'E'", "--rates, population 'E'"),
        ("partition graph, field rates", "--rates"),
        ("settings, example 'brunel'", "--set, example 'brunel'"),
        ("partition", "--strategy"),
        ("run", "run"),
        ("rates of population 'E'", "rates of population 'E'"),
        ("mem_limits", "mem_limits"),
        ("", ""),
    ],
)
def test_an_error_names_the_option(where: str, option: str, kind: type[InputError]) -> None:
    options = Namespace(mem_limit=3, rates="a_b.json", set=[], strategy=None, run="run.zarr")
    details = {"value": 3, "allowed": "4", "nearest": "x", "hint": "wait"}
    error = kind("is wrong", where=where, **details)  # type: ignore[arg-type]
    error.mark = True  # type: ignore[attr-defined]
    with pytest.raises(kind) as caught, option_errors(options):
        raise error
    assert caught.value is error
    assert vars(error)["mark"]
    assert str(error) == str(kind("is wrong", where=option, **details))  # type: ignore[arg-type]
    assert error.where == option


def test_an_error_without_a_place_keeps_its_class() -> None:
    options, text = Namespace(plot=None), "'dask' of the extra 'analysis'"
    with pytest.raises(MissingExtraError, match=text), option_errors(options):
        raise MissingExtraError("dask", "analysis")
