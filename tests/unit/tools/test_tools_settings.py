"""``--set NAME=VALUE`` becomes arguments of the types that the model's defaults have."""

from typing import Any

import pytest

from distsnn.errors import DescriptionError
from distsnn.tools.model_settings import arguments, defaults


def build(
    size: int = 1,
    rate: float = 2.0,
    name: str = "E",
    wide: bool = False,
    anything: Any = None,
) -> None:
    raise AssertionError("never called")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("size=3", 3),
        ("size=1e3", 1000),
        ("size=2_500", 2500),
        ("rate=3", 3.0),
        ("rate=.5", 0.5),
        ("rate=1e-3", 1e-3),
        ("name=3", "3"),
        ("name=a=b", "a=b"),
        ("name=", ""),
        ("wide=true", True),
        ("wide=No", False),
        ("wide=1", True),
        ("anything=3", 3),
        ("anything=[1, 2.5]", [1, 2.5]),
        ("anything=True", True),
        ("anything=false", False),
        ("anything=poisson", "poisson"),
        (" rate = 4 ", 4.0),
    ],
)
def test_text_takes_the_type_of_the_default(text: str, value: object) -> None:
    ((_, made),) = arguments(build, [text], where="m").items()
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["sise=3"], "m: unknown parameter 'sise'; allowed: .*; did you mean 'size'"),
        (["size"], "settings: not a setting; given 'size'; allowed: NAME=VALUE"),
        (["=3"], "not a setting"),
        (["size=1", "size=2"], "settings: set twice; given 'size'"),
        (["size=many"], "m, parameter size: must be an integer; given 'many'"),
        (["size=1.5"], "must be an integer"),
        (["size=inf"], "must be an integer"),
        (["rate=fast"], "m, parameter rate: must be a number; given 'fast'"),
        (["wide=perhaps"], "m, parameter wide: must be true or false; given 'perhaps'"),
    ],
)
def test_mistake_is_named(settings: list[str], message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        arguments(build, settings, where="m")


def test_parameter_without_a_default_is_asked_for() -> None:
    def needs(scale: float, *, shape: int = 1) -> None:
        raise AssertionError("never called")

    with pytest.raises(
        DescriptionError,
        match=r"settings, m: parameter 'scale' has no default; hint: set",
    ):
        arguments(needs, ["shape=2"], where="m")
    assert arguments(needs, ["scale=0.5", "shape=2"], where="m") == {"scale": 0.5, "shape": 2}
    assert defaults(needs) == {"shape": 1}


def test_model_that_takes_any_parameter_gets_it() -> None:
    def free(**parameters: Any) -> None:
        raise AssertionError("never called")

    assert arguments(free, ["scale=0.5", "kind=dc"], where="m") == {"scale": 0.5, "kind": "dc"}
