"""Leaky integrate-and-fire neuron with what e-prop looks at."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class EpropIaf(EquationNeuron):
    """Leaky integrate-and-fire neuron with delta input for e-prop (NEST's eprop_iaf).

    A weight at the receptor `delta` is added to V_m, before the threshold test of that step. At
    V_m >= V_th the neuron spikes, and V_m is lowered by V_th - E_L. V_m continues during the
    refractory time: t_ref after a spike, the neuron may spike again (a t_ref of 0 or dt allows a
    spike in each step). V_m is never below V_min.

    The plasticity rule `Eprop` uses these states at the end of a step:

    - `surrogate_gradient` is the pseudo-derivative of the spike, of V_m before the reset:
      surrogate_gradient_height max(0, 1 - abs(V_m - V_th)/surrogate_gradient_width), and 0 during
      the refractory time. `eprop_iaf` makes neurons with other functions.
    - `learning_signal` is the parameter learning_signal_e plus the sum of the weights that arrive
      at the receptor `learning` in this step alone.
    - `f_ema` is the exponential moving average of the spike rate.

    NEST has kappa_reg = exp(-dt/tau_f), and keeps c_reg, f_target and kappa in the neuron; here
    these belong to `Eprop`. In NEST, I_e acts from the second step on.

    Source: Bellec et al. (2020), Nat Commun 11:3625, doi:10.1038/s41467-020-17236-y; Korcsak-Gorzo
    et al. (2025), arXiv:2511.21674, for the version without batches.
    """

    name: ClassVar[str] = "eprop_iaf"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "eprop_iaf", "GeNN": "own code (mlGeNN)"}
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        dV_m/dt = -(V_m - E_L)/tau_m + (I_e + I_stim)/C_m : mV  # membrane potential
        df_ema/dt = -f_ema/tau_f : Hz  # exponential moving average of the spike rate
        dsurrogate_gradient/dt = 0/ms : 1  # pseudo-derivative of the spike
        dlearning_signal/dt = 0*mV/ms : mV  # learning signal of the step
        dblocked/dt = 0 : ms  # time that is left without spikes
        distance = abs(V_m - V_th)/surrogate_gradient_width : 1
        psi = surrogate_gradient_height*max(1 - distance, 0) : 1
        """,
        threshold="V_m >= V_th and blocked < 0.5*dt",
        reset="""
            surrogate_gradient = psi
            V_m -= V_th - E_L
            f_ema += (1 - exp(-dt/tau_f))/dt
            blocked = t_ref
        """,
        events={
            "floor": ("V_m < V_min", "V_m = V_min"),
            "no_spike": (
                "V_m < V_th or blocked > 0.5*dt",
                "surrogate_gradient = where(blocked > 0.5*dt, 0, psi)",
            ),
            "step": (
                "",
                "blocked = max(blocked - dt, 0); "
                "learning_signal = learning_signal_e + input(learning)",
            ),
        },
        receptors={"delta": "V_m", "learning": "learning_signal"},
        initial={"V_m": "E_L"},
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = (("E_L", "V_th"), ("V_min", "V_th"))

    C_m: Value = parameter(default=250.0, unit="pF", doc="membrane capacitance", above=0.0)
    tau_m: Value = parameter(default=10.0, unit="ms", doc="membrane time constant", above=0.0)
    t_ref: Value = parameter(
        default=2.0, unit="ms", doc="refractory time", low=0.0, multiple_of_dt=True
    )
    E_L: Value = parameter(default=-70.0, unit="mV", doc="resting potential")
    V_th: Value = parameter(default=-55.0, unit="mV", doc="spike threshold")
    V_min: Value = parameter(default=-1e6, unit="mV", doc="lower bound of V_m")
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")
    surrogate_gradient_height: Value = parameter(
        default=0.3, unit="1", doc="surrogate gradient at the threshold", above=0.0
    )
    surrogate_gradient_width: Value = parameter(
        default=1.0, unit="mV", doc="width of the surrogate gradient", above=0.0
    )
    tau_f: Value = parameter(default=32.83, unit="ms", doc="time constant of f_ema", above=0.0)
    learning_signal_e: Value = parameter(
        default=0.0, unit="mV", doc="constant part of the learning signal"
    )
