"""Campaigns over random examples: a sample of them by default, the whole in CI."""

import pytest


def campaign(sample: int, whole: int) -> pytest.MarkDecorator:
    """Return a mark that gives a test its ``examples``: `sample`, and `whole` marked ``ci``."""
    return pytest.mark.parametrize("examples", [sample, pytest.param(whole, marks=pytest.mark.ci)])
