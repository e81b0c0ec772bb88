"""Common parts of the generalised leaky integrate-and-fire neurons of Teeter et al. (2018)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import parameter
from distsnn.network.values import Value

# V_m of a step without its synaptic currents goes from its start to E_L + I_const/g; `remaining` is
# the weight of the start in its mean, weighted as threshold_voltage decays.
_MEMBRANE = """
        I_asc = (exprel(-asc_decay_1*dt)*previous(I_asc_1)
            + exprel(-asc_decay_2*dt)*previous(I_asc_2)) : pA
        I_const = I_asc + I_e + I_stim : pA
        remaining = (exp(-th_voltage_decay*dt)*exprel((th_voltage_decay - g/C_m)*dt)
            /exprel(-th_voltage_decay*dt)) : 1
        V_mean = remaining*(previous(V_m) - E_L) + (1 - remaining)*I_const/g : mV
        dV_m/dt = (-g*(V_m - E_L) + I_syn + I_const)/C_m : mV  # membrane potential
        dI_asc_1/dt = -asc_decay_1*I_asc_1 : pA  # first after-spike current
        dI_asc_2/dt = -asc_decay_2*I_asc_2 : pA  # second after-spike current
        dthreshold_spike/dt = -th_spike_decay*threshold_spike : mV  # threshold's part by spikes
        slope = th_voltage_index*V_mean - th_voltage_decay*threshold_voltage : mV/ms
        dthreshold_voltage/dt = slope : mV  # threshold's part by the potential
"""


@dataclass(frozen=True, eq=False)
class GlifNeuron(EquationNeuron):
    """Base class of these neurons, with all parameters except synaptic ones."""

    signed_receptors: ClassVar[tuple[str, str] | None] = ("ex", "in")

    V_th: Value = parameter(default=-51.68, unit="mV", doc="threshold of a neuron at rest")
    g: Value = parameter(default=9.43, unit="nS", doc="membrane conductance", above=0.0)
    E_L: Value = parameter(default=-78.85, unit="mV", doc="resting potential")
    C_m: Value = parameter(default=58.72, unit="pF", doc="membrane capacitance", above=0.0)
    t_ref: Value = parameter(
        default=3.8, unit="ms", doc="refractory time", low=0.0, multiple_of_dt=True
    )
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")
    voltage_reset_fraction: Value = parameter(
        default=0.0, unit="1", doc="part of V_m - E_L that a spike leaves", low=0.0, high=1.0
    )
    voltage_reset_add: Value = parameter(
        default=0.0, unit="mV", doc="amount added to it at a spike"
    )
    th_spike_add: Value = parameter(
        default=0.0, unit="mV", doc="rise of threshold_spike at a spike"
    )
    th_spike_decay: Value = parameter(
        default=0.009, unit="1/ms", doc="decay rate of threshold_spike", above=0.0
    )
    th_voltage_index: Value = parameter(
        default=0.0, unit="1/ms", doc="rate at which threshold_voltage follows V_m - E_L"
    )
    th_voltage_decay: Value = parameter(
        default=0.09, unit="1/ms", doc="decay rate of threshold_voltage", above=0.0
    )
    asc_amps_1: Value = parameter(default=0.0, unit="pA", doc="rise of I_asc_1 at a spike")
    asc_amps_2: Value = parameter(default=0.0, unit="pA", doc="rise of I_asc_2 at a spike")
    asc_decay_1: Value = parameter(
        default=0.003, unit="1/ms", doc="decay rate of I_asc_1", above=0.0
    )
    asc_decay_2: Value = parameter(default=0.1, unit="1/ms", doc="decay rate of I_asc_2", above=0.0)
    asc_r_1: Value = parameter(
        default=1.0, unit="1", doc="part of I_asc_1 that a spike leaves", low=0.0, high=1.0
    )
    asc_r_2: Value = parameter(
        default=1.0, unit="1", doc="part of I_asc_2 that a spike leaves", low=0.0, high=1.0
    )


def glif_equations(synapses: str, receptors: Mapping[str, str]) -> NeuronEquations:
    """Return the equations of a neuron of these with synaptic currents.

    Parameters
    ----------
    synapses : str
        Equations of the synaptic currents, with their sum I_syn, pA.
    receptors : mapping of str to str
        What each receptor's weights do.
    """
    return NeuronEquations(
        synapses.rstrip() + _MEMBRANE,
        threshold="V_m > V_th + threshold_spike + threshold_voltage",
        reset="""
        V_m = E_L + voltage_reset_fraction*(previous(V_m) - E_L) + voltage_reset_add
        threshold_spike = threshold_spike*exp(-th_spike_decay*t_ref) + th_spike_add
        I_asc_1 = asc_r_1*I_asc_1*exp(-asc_decay_1*t_ref) + asc_amps_1
        I_asc_2 = asc_r_2*I_asc_2*exp(-asc_decay_2*t_ref) + asc_amps_2
        """,
        refractory="t_ref",
        hold=("V_m", "I_asc_1", "I_asc_2", "threshold_spike", "threshold_voltage"),
        receptors=receptors,
        initial={"V_m": "E_L"},
    )
