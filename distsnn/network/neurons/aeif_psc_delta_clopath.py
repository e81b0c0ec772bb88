"""Adaptive exponential integrate-and-fire neuron with what voltage-based plasticity looks at."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import SubsteppedNeuron, parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value, least_ratio


@neuron_model
class AeifPscDeltaClopath(SubsteppedNeuron, EquationNeuron):
    """Adaptive exponential neuron with delta input, an afterdepolarisation, an adaptive threshold.

    NEST's aeif_psc_delta_clopath. A weight adds to V_m at the end of a step, before the test for a
    spike.

    A neuron spikes when V_m reaches V_peak (V_th without the exponential, Delta_T = 0).
    w then grows by b, z is set to I_sp, V_th to V_th_max, and V_m to V_clamp. V_m and w rest for
    t_clamp, the duration of the spike. V_m is then set to V_reset and rests for t_ref. In both
    periods input to V_m is lost. t_clamp is above 0; with NEST's t_clamp = 0 V_m stays at V_clamp.

    The averages u_bar_plus, u_bar_minus and u_bar_bar do not act on the neuron: a rule of
    plasticity reads them (`ClopathSTDP`, which has the parameters that NEST keeps in this neuron).

    z and V_th decay exactly, and act as their means over a part of a step. V_m, w and the averages
    are integrated over each of the `substeps` parts by Rosenbrock's method of one stage (the
    linearly implicit midpoint rule, one exponential a part): the error falls with the square of
    `substeps`. The upstroke is not followed: a neuron spikes when the exponential alone would take
    V_m to infinity within a part. By default a part is at most min(0.1 ms, 0.0055 C_m/g_L) long
    (`longest_part`).

    Source: Clopath et al. (2010), Nat Neurosci 13:344; doi:10.1038/nn.2479; V_clamp and t_clamp are
    of its code (ModelDB 144566). Rosenbrock (1963), Comput J 5:329, for the integration.
    """

    name: ClassVar[str] = "aeif_psc_delta_clopath"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "aeif_psc_delta_clopath"}
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        slope = where(Delta_T > 0, 1/Delta_T, 0/mV) : 1/mV
        I_spike = g_L*Delta_T*exp(slope*(V_m - V_th)) : pA
        I = -g_L*(V_m - E_L) + I_spike - w + z + I_e + I_stim : pA
        dV_m/dt = I/C_m : mV  # membrane potential
        dw/dt = (a*(V_m - E_L) - w)/tau_w : pA  # adaptation current
        dz/dt = -z/tau_z : pA  # afterdepolarising current
        dV_th/dt = (V_th_rest - V_th)/tau_V_th : mV  # where the exponential takes off
        du_bar_plus/dt = (V_m - u_bar_plus)/tau_u_bar_plus : mV  # average of V_m
        du_bar_minus/dt = (V_m - u_bar_minus)/tau_u_bar_minus : mV  # average of V_m
        du_bar_bar/dt = (u_bar_minus - u_bar_bar)/tau_u_bar_bar : mV  # average of u_bar_minus
        """,
        threshold="V_m >= where(Delta_T > 0, V_peak, V_th)",
        reset="V_m = V_clamp; w += b; z = I_sp; V_th = V_th_max",
        refractory=("t_clamp", "t_ref"),
        hold={"V_m": "t_ref", "w": "t_clamp"},
        after={"t_clamp": "V_m = V_reset"},
        receptors={"delta": "V_m"},
        initial={
            "V_m": "E_L",
            "V_th": "V_th_rest",
            "u_bar_plus": "E_L",
            "u_bar_minus": "E_L",
            "u_bar_bar": "E_L",
        },
        method="rosenbrock",
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = (
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
        default=2.0, unit="ms", doc="duration of a spike", above=0.0, multiple_of_dt=True
    )
    V_reset: Value = parameter(default=-60.0, unit="mV", doc="potential after a spike")
    t_ref: Value = parameter(
        default=0.0, unit="ms", doc="refractory time after it", low=0.0, multiple_of_dt=True
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
