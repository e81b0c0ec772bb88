"""Messages of errors: short whatever the value, and with what was left out."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from distsnn.errors import DescriptionError, shown
from distsnn.network import IafPscExp, Population

MILLION = 1_000_000


@dataclass(frozen=True)
class Holder:
    values: Any


@pytest.mark.parametrize(
    "value",
    [
        *(None, 1, -1.5, float("nan"), True, "a text", b"bytes", (1, "b"), [1.0, [2, ()]]),
        *({"b": 1, "a": {"c": None}}, {1, 2}, frozenset({3}), Holder(2.0), np.arange(3), 1 + 2j),
        [10**60, "x" * 100],
    ],
)
def test_short_values_are_shown_as_python_does(value: object) -> None:
    assert shown(value) == repr(value)


@pytest.mark.parametrize(
    ("value", "begin", "end"),
    [
        (list(range(MILLION)), "[0, 1, 2, ", "(1,000,000 elements)"),
        ((0,) * MILLION, "(0, 0, 0, ", "(1,000,000 elements)"),
        ([["x" * MILLION] * 100] * 100, "[['xxxx", "(100 elements)"),
        (dict.fromkeys(range(MILLION)), "{0: None, 1: None, ", "(1,000,000 elements)"),
        (set(range(MILLION)), "{0, 1, 2, ", "(1,000,000 elements)"),
        ("x" * MILLION, "'xxxx", "(1,000,000 characters)"),
        (b"x" * MILLION, "b'xxxx", "(1,000,000 characters)"),
        (np.full((1000, 1000), 0.1234567), "array([[0.1234567, ", "shape (1000, 1000))"),
        (Holder([0] * MILLION), "Holder(values=[0, 0, ", "..."),
        (10**5000, "an integer of 16,610 bits", ""),
        ([10**5000, 1], "[an integer of 16,610 bits, 1]", ""),
    ],
    ids=lambda one: one[:8] if isinstance(one, str) else type(one).__name__,
)
def test_long_values_are_truncated_with_their_size(value: object, begin: str, end: str) -> None:
    start = time.process_time()
    text = shown(value)
    assert time.process_time() - start < 1.0
    assert text.startswith(begin) and text.endswith(end)
    assert len(text) < 260


def test_messages_of_errors_are_short() -> None:
    with pytest.raises(DescriptionError, match=r"field tau_m.*1,000,000 elements") as caught:
        Population("E", MILLION, IafPscExp(tau_m=["long"] * MILLION))
    assert len(str(caught.value)) < 1000
    error = DescriptionError("w" * MILLION, where="x" * MILLION, allowed="y" * MILLION)
    assert len(str(error)) < 6500
    assert error.allowed == "y" * MILLION
