"""Leaky integrator that compares its potential with a target signal, for e-prop."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class EpropReadout(EquationNeuron):
    """Leaky integrator with delta input, a target signal and its error (NEST's eprop_readout).

    A weight is added to V_m, which is never below V_min. The neuron does not spike.

    At the end of each step `target_signal` is the parameter target_signal_e plus current stimuli, 1
    pA counting as 1 mV: a target signal that changes is a `StepCurrent` or a `SineCurrent`. The
    state `error_signal`, which `EpropToReadout` reads, is learning_window (V_m - target_signal). A
    learning_window of 0 means that nothing is learnt.

    In NEST the target signal and the learning window arrive over connections, I_e acts from the
    second step on, and currents from outside add to I_e.

    Source: Bellec et al. (2020), Nat Commun 11:3625, doi:10.1038/s41467-020-17236-y; Korcsak-Gorzo
    et al. (2025), arXiv:2511.21674, for the version without batches.
    """

    name: ClassVar[str] = "eprop_readout"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "eprop_readout", "GeNN": "own code (mlGeNN)"}
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        dV_m/dt = -(V_m - E_L)/tau_m + I_e/C_m : mV  # membrane potential
        dtarget_signal/dt = 0*mV/ms : mV  # what V_m is to be
        derror_signal/dt = 0*mV/ms : mV  # V_m - target_signal, while the neuron learns
        """,
        events={
            "floor": ("V_m < V_min", "V_m = V_min"),
            "step": (
                "",
                "target_signal = target_signal_e + I_stim*mV/pA; "
                "error_signal = learning_window*(V_m - target_signal)",
            ),
        },
        receptors={"delta": "V_m"},
        initial={"V_m": "E_L"},
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = (("V_min", "E_L"),)

    C_m: Value = parameter(default=250.0, unit="pF", doc="membrane capacitance", above=0.0)
    tau_m: Value = parameter(default=10.0, unit="ms", doc="membrane time constant", above=0.0)
    E_L: Value = parameter(default=0.0, unit="mV", doc="resting potential")
    V_min: Value = parameter(default=-1e6, unit="mV", doc="lower bound of V_m")
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")
    target_signal_e: Value = parameter(
        default=0.0, unit="mV", doc="constant part of the target signal"
    )
    learning_window: Value = parameter(
        default=1.0, unit="1", doc="factor of the error signal", low=0.0
    )
