"""Adaptive exponential integrate-and-fire neuron with what voltage-based plasticity looks at."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.model import State, SubsteppedNeuron, parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value, least_ratio


@neuron_model
class AeifPscDeltaClopath(SubsteppedNeuron):
    """Adaptive exponential neuron with delta input, an afterdepolarisation, an adaptive threshold.

    NEST's aeif_psc_delta_clopath. Between spikes::

        C_m dV_m/dt = -g_L (V_m - E_L) + g_L Delta_T exp((V_m - V_th)/Delta_T) - w + z + I_e
        tau_w dw/dt = a (V_m - E_L) - w
        tau_z dz/dt = -z
        tau_V_th dV_th/dt = V_th_rest - V_th
        tau_u_bar_plus du_bar_plus/dt = V_m - u_bar_plus
        tau_u_bar_minus du_bar_minus/dt = V_m - u_bar_minus
        tau_u_bar_bar du_bar_bar/dt = u_bar_minus - u_bar_bar

    A weight adds to V_m at the end of a step, before the test for a spike.

    A neuron spikes where V_m reaches V_peak (V_th, if Delta_T = 0: there is no exponential then).
    w then grows by b, z is set to I_sp, V_th to V_th_max, and V_m to V_clamp, where it stays for
    t_clamp, w with it: so long is a spike. V_m is then set to V_reset and stays for t_ref. In both
    times input is lost. In NEST t_clamp may be 0; V_m then stays at V_clamp, and here it may not.

    The averages u_bar_plus, u_bar_minus and u_bar_bar do not act on the neuron: a rule of
    plasticity reads them (`ClopathSTDP`, which has the parameters that NEST keeps in this neuron).

    V_m and w are integrated over each of the `substeps` parts of a step by Rosenbrock's method of
    one stage (the linearly implicit midpoint rule, one exponential a part), z and V_th exactly, the
    averages exactly for the potential in the middle of a part: the error falls with the square of
    `substeps`. The upstroke is not followed: a neuron spikes when the exponential alone would take
    V_m to infinity within a part. By default a part is at most min(0.1 ms, 0.0055 C_m/g_L) long
    (`longest_part`).

    Source: Clopath et al. (2010), Nat Neurosci 13:344; doi:10.1038/nn.2479; V_clamp and t_clamp are
    of its code (ModelDB 144566). Rosenbrock (1963), Comput J 5:329, for the integration.
    """

    name: ClassVar[str] = "aeif_psc_delta_clopath"
    receptors: ClassVar[tuple[str, ...]] = ("delta",)
    weight_unit: ClassVar[str] = "mV"
    states: ClassVar[Mapping[str, State]] = {
        "V_m": State("mV", "membrane potential", default="E_L", relative_to="E_L"),
        "w": State("pA", "adaptation current"),
        "z": State("pA", "afterdepolarising current"),
        "V_th": State(
            "mV",
            "where the exponential takes off",
            default="V_th_rest",
            relative_to="V_th_rest",
        ),
        "u_bar_plus": State("mV", "average of V_m", default="E_L", relative_to="E_L"),
        "u_bar_minus": State("mV", "average of V_m", default="E_L", relative_to="E_L"),
        "u_bar_bar": State("mV", "average of u_bar_minus", default="E_L", relative_to="E_L"),
        "refractory": State(
            "steps", "steps left of the spike and its refractory time", integer=True
        ),
    }
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (
        ("V_reset", "V_peak"),
        ("V_th_rest", "V_peak"),
    )

    C_m: Value = parameter(default=281.0, unit="pF", doc="membrane capacitance", above=0.0)
    g_L: Value = parameter(default=30.0, unit="nS", doc="leak conductance", low=0.0)
    E_L: Value = parameter(default=-70.6, unit="mV", doc="leak reversal potential")
    Delta_T: Value = parameter(default=2.0, unit="mV", doc="slope factor", low=0.0)
    V_th_rest: Value = parameter(default=-50.4, unit="mV", doc="V_th at rest")
    V_th_max: Value = parameter(default=30.4, unit="mV", doc="V_th after a spike")
    tau_V_th: Value = parameter(default=50.0, unit="ms", doc="time constant of V_th", above=0.0)
    V_peak: Value = parameter(default=33.0, unit="mV", doc="spike detection")
    V_clamp: Value = parameter(default=33.0, unit="mV", doc="potential during a spike")
    t_clamp: Value = parameter(
        default=2.0, unit="ms", doc="duration of a spike", above=0.0, on_grid=True
    )
    V_reset: Value = parameter(default=-60.0, unit="mV", doc="potential after a spike")
    t_ref: Value = parameter(
        default=0.0, unit="ms", doc="refractory time after it", low=0.0, on_grid=True
    )
    a: Value = parameter(default=4.0, unit="nS", doc="adaptation below threshold")
    b: Value = parameter(default=80.5, unit="pA", doc="adaptation by a spike")
    tau_w: Value = parameter(default=144.0, unit="ms", doc="time constant of w", above=0.0)
    I_sp: Value = parameter(default=400.0, unit="pA", doc="z after a spike")
    tau_z: Value = parameter(default=40.0, unit="ms", doc="decay of z", above=0.0)
    tau_u_bar_plus: Value = parameter(
        default=7.0, unit="ms", doc="time constant of u_bar_plus", above=0.0
    )
    tau_u_bar_minus: Value = parameter(
        default=10.0, unit="ms", doc="time constant of u_bar_minus", above=0.0
    )
    tau_u_bar_bar: Value = parameter(
        default=500.0, unit="ms", doc="time constant of u_bar_bar", above=0.0
    )
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")

    def longest_part(self) -> float:
        """Return the longest part of a step that keeps errors of rates below 0.5 %, ms."""
        return min(0.1, 0.0055 * least_ratio(self.C_m, self.g_L))
