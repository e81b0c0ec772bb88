"""Common parts of the generalised integrate-and-fire neurons of Mensi et al. (2012)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import parameter
from distsnn.network.values import Value

_MEMBRANE = """
        I = I_syn - (stc_1 + stc_2 + stc_3) + I_e + I_stim : pA
        dV_m/dt = (-g_L*(V_m - E_L) + I)/C_m : mV  # membrane potential
"""
_SPIKES = """
        dstc_1/dt = -stc_1/tau_stc_1 : pA  # spike-triggered current
        dstc_2/dt = -stc_2/tau_stc_2 : pA  # spike-triggered current
        dstc_3/dt = -stc_3/tau_stc_3 : pA  # spike-triggered current
        dsfa_1/dt = -sfa_1/tau_sfa_1 : mV  # movement of the threshold
        dsfa_2/dt = -sfa_2/tau_sfa_2 : mV  # movement of the threshold
        dsfa_3/dt = -sfa_3/tau_sfa_3 : mV  # movement of the threshold
        above = V_m - (V_T_star + sfa_1 + sfa_2 + sfa_3) : mV
        hazard = lambda_0*exp(above/Delta_V) : 1/s
"""


@dataclass(frozen=True, eq=False)
class GifNeuron(EquationNeuron):
    """Base class of these neurons, with all parameters except synaptic ones."""

    signed_receptors: ClassVar[tuple[str, str] | None] = ("ex", "in")

    g_L: Value = parameter(default=4.0, unit="nS", doc="leak conductance", above=0.0)
    E_L: Value = parameter(default=-70.0, unit="mV", doc="resting potential")
    C_m: Value = parameter(default=80.0, unit="pF", doc="membrane capacitance", above=0.0)
    V_reset: Value = parameter(default=-55.0, unit="mV", doc="potential after a spike")
    t_ref: Value = parameter(
        default=4.0, unit="ms", doc="refractory time", low=0.0, multiple_of_dt=True
    )
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")
    V_T_star: Value = parameter(default=-35.0, unit="mV", doc="threshold of a neuron at rest")
    Delta_V: Value = parameter(default=0.5, unit="mV", doc="sharpness of the threshold", above=0.0)
    lambda_0: Value = parameter(default=1.0, unit="1/s", doc="hazard at the threshold", low=0.0)
    tau_stc_1: Value = parameter(default=10.0, unit="ms", doc="decay of stc_1", above=0.0)
    tau_stc_2: Value = parameter(default=100.0, unit="ms", doc="decay of stc_2", above=0.0)
    tau_stc_3: Value = parameter(default=1000.0, unit="ms", doc="decay of stc_3", above=0.0)
    q_stc_1: Value = parameter(default=0.0, unit="pA", doc="what a spike adds to stc_1")
    q_stc_2: Value = parameter(default=0.0, unit="pA", doc="what a spike adds to stc_2")
    q_stc_3: Value = parameter(default=0.0, unit="pA", doc="what a spike adds to stc_3")
    tau_sfa_1: Value = parameter(default=10.0, unit="ms", doc="decay of sfa_1", above=0.0)
    tau_sfa_2: Value = parameter(default=100.0, unit="ms", doc="decay of sfa_2", above=0.0)
    tau_sfa_3: Value = parameter(default=1000.0, unit="ms", doc="decay of sfa_3", above=0.0)
    q_sfa_1: Value = parameter(default=0.0, unit="mV", doc="what a spike adds to sfa_1")
    q_sfa_2: Value = parameter(default=0.0, unit="mV", doc="what a spike adds to sfa_2")
    q_sfa_3: Value = parameter(default=0.0, unit="mV", doc="what a spike adds to sfa_3")


def gif_equations(synapses: str, receptors: Mapping[str, str], **texts: Any) -> NeuronEquations:
    """Return the equations of a neuron of these with synapses.

    Parameters
    ----------
    synapses : str
        Equations of the synapses, with the current ``I_syn`` (pA).
    receptors : mapping of str to str
        What the weights of each receptor change.
    **texts
        Further fields of the equations.
    """
    return NeuronEquations(
        f"{_MEMBRANE}{synapses}{_SPIKES}",
        threshold="uniform() > exp(-hazard*dt)",
        reset="""
        V_m = V_reset
        stc_1 += q_stc_1; stc_2 += q_stc_2; stc_3 += q_stc_3
        sfa_1 += q_sfa_1; sfa_2 += q_sfa_2; sfa_3 += q_sfa_3
        """,
        refractory="t_ref",
        hold=("V_m",),
        receptors=receptors,
        initial={"V_m": "E_L"},
        late=("stc_1", "stc_2", "stc_3", "sfa_1", "sfa_2", "sfa_3"),
        **texts,
    )
