"""Generalised leaky integrate-and-fire neuron whose synaptic currents are two alpha functions."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import NeuronEquations
from distsnn.network.glif import GlifNeuron, glif_equations
from distsnn.network.model import parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class GlifPscDoubleAlpha(GlifNeuron):
    """Generalised leaky integrate-and-fire neuron, fast and slow currents (glif_psc_double_alpha).

    It is glif_psc, with its five variants, but that a spike of weight w adds two alpha functions:
    a fast one that peaks at w after tau_syn_fast, and a slow one that peaks at amp_slow w after
    tau_syn_slow. Their sum fits measured synaptic currents with a slow tail. Integration is as in
    NEST's model of this name, which has any number of receptors instead of two.

    Source: Teeter et al. (2018), Nat Commun 9:709, for the neuron.
    """

    name: ClassVar[str] = "glif_psc_double_alpha"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "glif_psc_double_alpha"}
    equations: ClassVar[NeuronEquations] = glif_equations(
        """
        I_syn = I_fast_ex + I_slow_ex + I_fast_in + I_slow_in : pA  # synaptic current
        dI_fast_ex/dt = dI_fast_ex - I_fast_ex/tau_syn_fast_ex : pA  # fast excitatory current
        ddI_fast_ex/dt = -dI_fast_ex/tau_syn_fast_ex : pA/ms  # its rise without decay
        dI_slow_ex/dt = dI_slow_ex - I_slow_ex/tau_syn_slow_ex : pA  # slow excitatory current
        ddI_slow_ex/dt = -dI_slow_ex/tau_syn_slow_ex : pA/ms  # its rise without decay
        dI_fast_in/dt = dI_fast_in - I_fast_in/tau_syn_fast_in : pA  # fast inhibitory current
        ddI_fast_in/dt = -dI_fast_in/tau_syn_fast_in : pA/ms  # its rise without decay
        dI_slow_in/dt = dI_slow_in - I_slow_in/tau_syn_slow_in : pA  # slow inhibitory current
        ddI_slow_in/dt = -dI_slow_in/tau_syn_slow_in : pA/ms  # its rise without decay
        """,
        receptors={
            "ex": """
                dI_fast_ex += weight*exp(1)/tau_syn_fast_ex
                dI_slow_ex += weight*amp_slow_ex*exp(1)/tau_syn_slow_ex
            """,
            "in": """
                dI_fast_in += weight*exp(1)/tau_syn_fast_in
                dI_slow_in += weight*amp_slow_in*exp(1)/tau_syn_slow_in
            """,
        },
    )

    tau_syn_fast_ex: Value = parameter(
        default=2.0, unit="ms", doc="time to peak of fast excitatory current", above=0.0
    )
    tau_syn_slow_ex: Value = parameter(
        default=6.0, unit="ms", doc="time to peak of slow excitatory current", above=0.0
    )
    amp_slow_ex: Value = parameter(
        default=0.3, unit="1", doc="ratio of peaks of slow and fast excitatory currents", low=0.0
    )
    tau_syn_fast_in: Value = parameter(
        default=2.0, unit="ms", doc="time to peak of fast inhibitory current", above=0.0
    )
    tau_syn_slow_in: Value = parameter(
        default=6.0, unit="ms", doc="time to peak of slow inhibitory current", above=0.0
    )
    amp_slow_in: Value = parameter(
        default=0.3, unit="1", doc="ratio of peaks of slow and fast inhibitory currents", low=0.0
    )
