"""Campaigns over examples: a sample of them by default, the whole in CI."""

from collections.abc import Iterable
from typing import Any

import pytest


def campaign(sample: int, whole: int) -> pytest.MarkDecorator:
    """Return a mark that gives a test its ``examples``: `sample`, and `whole` marked ``ci``."""
    return pytest.mark.parametrize("examples", [sample, pytest.param(whole, marks=pytest.mark.ci)])


def sampled(cases: Iterable[Any], every: int) -> list[Any]:
    """Return the cases of a test as parameters, all but every n-th marked ``ci``.

    Parameters
    ----------
    cases : iterable
        A value or a tuple of values for each.
    every : int
        The first is run by default, and every n-th after it.
    """
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.ci)
        if index % every
        else case
        for index, case in enumerate(cases)
    ]
