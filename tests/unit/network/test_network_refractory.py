"""What rests during the refractory time of a model written as equations."""

from typing import Any

import pytest

from distsnn.errors import DescriptionError
from distsnn.network import NeuronModel


def held(threshold: str = "v > E", **given: Any) -> tuple[str, ...]:
    """Return the held variables of a model with a refractory time."""
    return NeuronModel(
        "dv/dt = -v/tau : mV\ndw/dt = (v - w)/tau : mV",
        threshold=threshold,
        refractory="t_ref",
        parameters={"tau": (10.0, "ms"), "E": (1.0, "mV"), "t_ref": (2.0, "ms")},
        **given,
    ).dynamics.held


def test_by_default_the_variable_rests_that_the_threshold_names_first() -> None:
    assert held() == held(hold=None) == ("v",)
    assert held("w > v") == ("w",)


def test_hold_names_what_rests_and_may_name_nothing() -> None:
    assert held(hold="w") == ("w",)
    assert held(hold=["v", "w"]) == ("v", "w")
    assert held(hold=()) == held(hold=[]) == ()


def test_threshold_without_a_state_variable_has_no_default() -> None:
    assert held("E > 0", hold=()) == ()
    with pytest.raises(DescriptionError, match=r"^hold: .*no state variable.*allowed: v, w; \(\)"):
        held("E > 0")
