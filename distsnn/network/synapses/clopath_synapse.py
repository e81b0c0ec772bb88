"""Plasticity that follows the potential of the target."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import ClassVar

from distsnn.network.equations.plasticity_model import RuleEquations, WatchingEquationSynapse
from distsnn.network.model import parameter
from distsnn.network.plastic_synapse import small
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class ClopathSTDP(WatchingEquationSynapse):
    """Voltage-based rule (NEST's clopath_synapse).

    With a trace x of the source's spikes, the target's potential V and its averages u_bar_plus,
    u_bar_minus and u_bar_bar, the former two as they were delay_u_bars before, [y] = max(y, 0)::

        all the time:              dw/dt = A_LTP x/tau_x [V - theta_plus] [u_bar_plus - theta_minus]
        at a spike of the source:  w -> max(w - A_LTD g [u_bar_minus - theta_minus], w_min)

    and w stops at w_max. g is 1, or, with A_LTD_const = 0, u_bar_bar²/u_ref_squared; u_bar_bar
    counts from 0 mV, as in NEST. A spike adds 1 to x, which decays with tau_x. The integral is a
    sum over steps, with the states of each step's end; like spikes, states of the target reach the
    synapse a dendritic delay later, and act before the source's spike in the same step.
    Before time 0 the averages are what they are at the start.

    The target must have the states V_m, u_bar_plus, u_bar_minus and u_bar_bar, as
    `AeifPscDeltaClopath` has. In NEST all parameters but tau_x and the bounds are the target's.

    Source: Clopath et al. (2010), Nat Neurosci 13:344, eqs 1 to 3; doi:10.1038/nn.2479;
    delay_u_bars is of its code (ModelDB 144566).
    """

    name: ClassVar[str] = "clopath_synapse"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "clopath_synapse"}
    equations: ClassVar[RuleEquations] = RuleEquations(
        """
        dx/dt = -x/tau_x : 1 (pre)
        potentiation = max(V_m_post - theta_plus, 0)*max(
            delayed(u_bar_plus_post, delay_u_bars) - theta_minus, 0) : mV**2 (post)
        depression = max(delayed(u_bar_minus_post, delay_u_bars) - theta_minus, 0)*(
            A_LTD_const + (1 - A_LTD_const)/u_ref_squared*u_bar_bar_post**2) : mV (post)
        """,
        on_step="w = clip(w + A_LTP*(dt/tau_x)*x*potentiation, w_min, w_max)",
        on_pre="w = clip(w - A_LTD*depression, w_min, w_max); x += 1",
        target=dict.fromkeys(("V_m", "u_bar_plus", "u_bar_minus", "u_bar_bar"), "mV"),
    )

    tau_x: Value = parameter(default=15.0, unit="ms", doc="decay of x", above=0.0)
    A_LTP: Value = parameter(
        default=8e-5, unit="weight/mV**2", doc="amplitude of potentiation", low=0.0
    )
    A_LTD: Value = parameter(
        default=14e-5, unit="weight/mV", doc="amplitude of depression", low=0.0
    )
    theta_plus: Value = parameter(default=-45.3, unit="mV", doc="threshold of V")
    theta_minus: Value = parameter(default=-70.6, unit="mV", doc="threshold of the averages")
    A_LTD_const: Value = parameter(
        default=1.0,
        unit="1",
        doc="whether depression is independent of u_bar_bar (1) or not (0)",
        low=0.0,
        high=1.0,
        integer=True,
    )
    u_ref_squared: Value = parameter(
        default=60.0, unit="mV**2", doc="u_bar_bar squared at which g is 1", above=0.0
    )
    delay_u_bars: Value = parameter(
        default=5.0, unit="ms", doc="how late the averages act", low=0.0, multiple_of_dt=True
    )
    w_min: Value = field(default=0.0, kw_only=True)  # here it has been written from the beginning

    def steps(self, weight: float) -> Iterable[float]:  # noqa: D102 (inherited)
        # in steps of 0.1 ms of a spike, 50 mV and 10 mV above the thresholds
        return small(self.A_LTP) * 0.1 / small(self.tau_x) * 500.0, small(self.A_LTD) * 10.0
