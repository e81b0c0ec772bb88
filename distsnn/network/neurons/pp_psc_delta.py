"""Point process neuron: it spikes by chance, at a rate that its potential sets."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class PpPscDelta(EquationNeuron):
    """Point process neuron with a leaky potential and delta input (NEST's pp_psc_delta).

    The potential is relative to its resting value. With V' = V_m - sfa_1 - sfa_2 - sfa_3, the
    neuron spikes at the rate c_1 V' + c_2 exp(c_3 V'), and not at all where this is negative: in a
    step with probability 1 - exp(-rate dt). A spike adds q_sfa_j to sfa_j, and sets V_m to 0 unless
    with_reset is 0. For dead_time the neuron then does not spike; V_m and sfa continue.

    NEST takes any number of sfa; here there are three, and those whose q_sfa is 0, as by default,
    do nothing. With dead_time = 0 a neuron spikes once a step at most, while NEST draws a Poisson
    number of spikes: the rates differ by the factor (1 - exp(-rate dt))/(rate dt). Neurons whose
    dead time is drawn at each spike (NEST's dead_time_random) are `pp_psc_delta_random`. A dead
    time that is left from before the run (t_ref_remaining) is left out.

    Source: Cardanobile & Rotter (2010), J Comput Neurosci 28:267; Jolivet et al. (2006), J Comput
    Neurosci 21:35; Pozzorini et al. (2013), Nat Neurosci 16:942.
    """

    name: ClassVar[str] = "pp_psc_delta"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "`pp_psc_delta` without t_ref_remaining"}
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        dV_m/dt = -V_m/tau_m + (I_e + I_stim)/C_m : mV  # membrane potential
        dsfa_1/dt = -sfa_1/tau_sfa_1 : mV  # movement of the threshold
        dsfa_2/dt = -sfa_2/tau_sfa_2 : mV  # movement of the threshold
        dsfa_3/dt = -sfa_3/tau_sfa_3 : mV  # movement of the threshold
        above = V_m - (sfa_1 + sfa_2 + sfa_3) : mV
        hazard = c_1*above + c_2*exp(c_3*above) : 1/s
        """,
        # false where the hazard is negative: the right side is then above 1
        threshold="uniform() > exp(-hazard*dt)",
        reset="V_m *= 1 - with_reset; sfa_1 += q_sfa_1; sfa_2 += q_sfa_2; sfa_3 += q_sfa_3",
        refractory="dead_time",
        hold=(),
        receptors={"delta": "V_m"},
    )

    tau_m: Value = parameter(default=10.0, unit="ms", doc="membrane time constant", above=0.0)
    C_m: Value = parameter(default=250.0, unit="pF", doc="membrane capacitance", above=0.0)
    dead_time: Value = parameter(
        default=1.0,
        unit="ms",
        doc="time without spikes after a spike",
        low=0.0,
        multiple_of_dt=True,
    )
    with_reset: Value = parameter(
        default=1.0,
        unit="1",
        doc="1: a spike sets V_m to 0; 0: it does not",
        low=0.0,
        high=1.0,
        integer=True,
    )
    c_1: Value = parameter(default=0.0, unit="Hz/mV", doc="slope of the rate's linear part")
    c_2: Value = parameter(default=1.238, unit="Hz", doc="rate's exponential part at rest")
    c_3: Value = parameter(default=0.25, unit="1/mV", doc="growth of the exponential part", low=0.0)
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")
    tau_sfa_1: Value = parameter(default=34.0, unit="ms", doc="decay of sfa_1", above=0.0)
    tau_sfa_2: Value = parameter(default=100.0, unit="ms", doc="decay of sfa_2", above=0.0)
    tau_sfa_3: Value = parameter(default=1000.0, unit="ms", doc="decay of sfa_3", above=0.0)
    q_sfa_1: Value = parameter(default=0.0, unit="mV", doc="what a spike adds to sfa_1")
    q_sfa_2: Value = parameter(default=0.0, unit="mV", doc="what a spike adds to sfa_2")
    q_sfa_3: Value = parameter(default=0.0, unit="mV", doc="what a spike adds to sfa_3")
