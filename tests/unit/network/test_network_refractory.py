"""What rests during the refractory time of a model written as equations."""

from typing import Any

import pytest

from distsnn.errors import DescriptionError
from distsnn.network import NeuronModel


def held(threshold: str = "v > E", **given: Any) -> tuple[str, ...]:
    """Return the held variables of a model with a refractory time."""
    model = NeuronModel(
        "dv/dt = -v/tau : mV\ndw/dt = (v - w)/tau : mV",
        threshold=threshold,
        refractory="t_ref",
        parameters={"tau": (10.0, "ms"), "E": (1.0, "mV"), "t_ref": (2.0, "ms")},
        **given,
    ).dynamics
    assert {*model.held.values()} <= {"t_ref"}
    return tuple(model.held)


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


def periods(**given: Any) -> NeuronModel:
    """Return a model whose refractory time has two periods."""
    texts: dict[str, Any] = {"refractory": ("first", "second"), "hold": {"v": "second"}, **given}
    return NeuronModel(
        "dv/dt = -v/tau : mV\ndw/dt = (v - w)/tau : mV",
        threshold="v > E",
        parameters={
            "tau": (10.0, "ms"),
            "E": (1.0, "mV"),
            "first": (1.0, "ms"),
            "second": (2.0, "ms"),
        },
        **texts,
    )


def test_a_refractory_time_may_have_periods() -> None:
    model = periods(hold={"v": "second", "w": "first"}, after={"first": "v = E"})
    assert model.dynamics.held == {"v": "second", "w": "first"}
    assert periods(hold=None).dynamics.held == {"v": "second"}
    # statements follow the first period, which therefore has an end
    with pytest.raises(DescriptionError, match=r"first.*0.*allowed: > 0"):
        model(first=0.0).check(1, where="P")
    model(second=0.0).check(1, where="P")
    lines = model.neuron.equation_lines()
    assert "refractory time: first + second" in lines
    assert "held: v until the end of second, w until the end of first" in lines
    assert "after first: v = E" in lines


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"refractory": ("first", "secnd")}, "refractory: unknown parameter 'secnd'.*second"),
        ({"refractory": ("first", "first")}, "refractory: a period is named twice.*first"),
        ({"refractory": ("first", "E")}, "refractory: must be a time in ms"),
        ({"hold": {"v": "third"}}, "hold, 'v': unknown refractory period 'third'"),
        ({"hold": {"x": "first"}}, "hold: unknown state variable 'x'"),
        ({"after": {"E": "v = E"}}, "after: unknown refractory period 'E'"),
        ({"after": {"first": ""}}, "after, 'first': assignments are missing"),
        ({"after": {"first": "x = E"}}, "after first, line 1, column 1: unknown variable"),
    ],
)
def test_a_wrong_period_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        periods(**given)
