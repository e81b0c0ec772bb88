"""Learning by the dendritic prediction of somatic spiking."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.network.equations.plasticity_model import RuleEquations, WatchingEquationSynapse
from distsnn.network.model import parameter
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class UrbanczikSenn(WatchingEquationSynapse):
    """Rule that lets a dendrite predict the spikes of its soma (NEST's urbanczik_synapse).

    With the target's prediction error E of each step, and the potential that a spike train of the
    source evokes at the dendrite by weights of 1, up to a factor::

        in each step of the target:  goal -> goal + dw    late -> late + dw
                                     dw = 15 eta tau_L tau_s/(tau_L - tau_s) (x_L - x_s) E
        at a spike of the source:    w = goal - late, within w_min and w_max

    A spike of the source adds 1 to x_L and x_s, which decay with tau_L and tau_s; late decays with
    tau_Delta. So a weight approaches its goal as slowly as a low-pass filter with the time constant
    tau_Delta. The bounds limit w only: goal and late continue beyond them, as in NEST. The state
    `ahead` is goal - w. An error reaches the synapse a dendritic delay after the step, and acts
    before the source's spike in the same step. The factor 15 is NEST's.

    The target must have the state prediction_error, as `PpCondExpMcUrbanczik` has. tau_L is its
    C_m_p/g_L_p and tau_s its tau_syn_ex_p, or tau_syn_in_p where weights are inhibitory; NEST takes
    both from the target, tau_s by the sign of the weight. They must differ.

    Source: Urbanczik & Senn (2014), Neuron 81:521, doi:10.1016/j.neuron.2013.11.030.
    """

    name: ClassVar[str] = "urbanczik_synapse"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "urbanczik_synapse"}
    equations: ClassVar[RuleEquations] = RuleEquations(
        """
        dx_L/dt = -x_L/tau_L : 1 (pre)  # spikes of the source, filtered by the membrane
        dx_s/dt = -x_s/tau_s : 1 (pre)  # spikes of the source, filtered by the synaptic current
        dahead/dt = 0 : 1 (synapse)  # goal of the weight, relative to the weight
        dlate/dt = -late/tau_Delta : 1 (synapse)  # part of the goal that the filter holds back
        error = prediction_error_post : 1/mV (post)
        """,
        on_step="""
            change = 15*eta*tau_L*tau_s/(tau_L - tau_s)*(x_L - x_s)*error
            ahead += change
            late += change
        """,
        on_pre="""
            goal = w + ahead
            w = clip(goal - late, w_min, w_max)
            ahead = goal - w
            x_L += 1
            x_s += 1
        """,
        target={"prediction_error": "1/mV"},
    )

    tau_L: Value = parameter(
        default=10.0, unit="ms", doc="membrane time constant of the dendrite", above=0.0
    )
    tau_s: Value = parameter(
        default=3.0, unit="ms", doc="decay of the synaptic current at the dendrite", above=0.0
    )
    tau_Delta: Value = parameter(
        default=100.0, unit="ms", doc="low-pass filter of weight changes", above=0.0
    )
    eta: Value = parameter(default=0.07, unit="weight*mV/ms", doc="learning rate")

    def __post_init__(self) -> None:
        super().__post_init__()
        if np.array_equal(self.tau_L, self.tau_s):  # type: ignore[arg-type]
            raise DescriptionError(
                "must differ from tau_L",
                where=f"{self.name}, field tau_s",
                value=self.tau_s,
                allowed=f"> 0 and not {self.tau_L} ms",
            )
