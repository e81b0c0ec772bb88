"""Integrate-and-fire neuron with three compartments and alpha-shaped synaptic conductances."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.checks import NOT_NEGATIVE, Interval
from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import SubsteppedNeuron, parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value, least

_TIMES = [f"tau_syn_{kind}_{part}" for part in "spd" for kind in ("ex", "in")]


@neuron_model
class IafCondAlphaMc(SubsteppedNeuron, EquationNeuron):
    """Integrate-and-fire neuron with three compartments (NEST's iaf_cond_alpha_mc).

    The names of parameters and state variables end in ``_s`` for the soma, ``_p`` for the proximal
    dendrite and ``_d`` for the distal dendrite. The conductance g_sp connects soma and proximal
    dendrite, g_pd the two dendrites. Each compartment has an excitatory and an inhibitory receptor:
    ``soma_ex``, ``soma_in``, ``proximal_ex``, ``proximal_in``, ``distal_ex``, ``distal_in``.
    A weight, at least 0, is the peak of the conductance that it makes, tau_syn after the spike. At
    V_m_s >= V_th at the end of a step the neuron spikes and V_m_s is set to V_reset. For t_ref all
    three potentials rest, as in NEST; the conductances continue.

    Current stimuli reach the soma. The constant currents I_e_p and I_e_d of the dendrites are
    parameters, which can be set between two run calls.

    Conductances are integrated exactly. The proximal potential, on which both other potentials
    depend, takes half a part of a step with the others held; then these take the part, and then it
    takes the other half (Strang splitting). The error falls with the square of `substeps`. By
    default a part is at most tau_syn_x long (`longest_part`).

    Source: Nordlie, Gewaltig & Plesser (2009), PLoS Comput Biol 5:e1000456 (alpha-shaped
    conductances); Koch (1999), Biophysics of computation, Oxford University Press, chapter 2
    (coupled compartments).
    """

    name: ClassVar[str] = "iaf_cond_alpha_mc"
    peers: ClassVar[Mapping[str, str]] = {
        "NEST": "iaf_cond_alpha_mc",
        "Brian2": "equations (`SpatialNeuron` for cables)",
    }
    allowed_weights: ClassVar[Mapping[str, Interval]] = {
        f"{part}_{kind}": NOT_NEGATIVE
        for part in ("soma", "proximal", "distal")
        for kind in ("ex", "in")
    }
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        I_syn_s = g_ex_s*(E_ex_s - V_m_s) + g_in_s*(E_in_s - V_m_s) : pA
        I_syn_p = g_ex_p*(E_ex_p - V_m_p) + g_in_p*(E_in_p - V_m_p) : pA
        I_syn_d = g_ex_d*(E_ex_d - V_m_d) + g_in_d*(E_in_d - V_m_d) : pA
        I_sp = g_sp*(V_m_p - V_m_s) : pA
        I_pd = g_pd*(V_m_d - V_m_p) : pA
        I_p = g_L_p*(E_L_p - V_m_p) + I_syn_p - I_sp + I_pd + I_e_p : pA
        I_s = g_L_s*(E_L_s - V_m_s) + I_syn_s + I_sp + I_e_s + I_stim : pA
        I_d = g_L_d*(E_L_d - V_m_d) + I_syn_d - I_pd + I_e_d : pA
        dV_m_p/dt = I_p/C_m_p : mV  # potential, proximal dendrite
        dV_m_s/dt = I_s/C_m_s : mV  # potential, soma
        dV_m_d/dt = I_d/C_m_d : mV  # potential, distal dendrite
        dg_ex_s/dt = dg_ex_s - g_ex_s/tau_syn_ex_s : nS  # excitatory conductance, soma
        ddg_ex_s/dt = -dg_ex_s/tau_syn_ex_s : nS/ms  # drive of this conductance
        dg_in_s/dt = dg_in_s - g_in_s/tau_syn_in_s : nS  # inhibitory conductance, soma
        ddg_in_s/dt = -dg_in_s/tau_syn_in_s : nS/ms  # drive of this conductance
        dg_ex_p/dt = dg_ex_p - g_ex_p/tau_syn_ex_p : nS  # excitatory conductance, proximal dendrite
        ddg_ex_p/dt = -dg_ex_p/tau_syn_ex_p : nS/ms  # drive of this conductance
        dg_in_p/dt = dg_in_p - g_in_p/tau_syn_in_p : nS  # inhibitory conductance, proximal dendrite
        ddg_in_p/dt = -dg_in_p/tau_syn_in_p : nS/ms  # drive of this conductance
        dg_ex_d/dt = dg_ex_d - g_ex_d/tau_syn_ex_d : nS  # excitatory conductance, distal dendrite
        ddg_ex_d/dt = -dg_ex_d/tau_syn_ex_d : nS/ms  # drive of this conductance
        dg_in_d/dt = dg_in_d - g_in_d/tau_syn_in_d : nS  # inhibitory conductance, distal dendrite
        ddg_in_d/dt = -dg_in_d/tau_syn_in_d : nS/ms  # drive of this conductance
        """,
        threshold="V_m_s >= V_th",
        reset="V_m_s = V_reset",
        refractory="t_ref",
        hold=("V_m_s", "V_m_p", "V_m_d"),
        receptors={
            "soma_ex": "dg_ex_s += weight*exp(1)/tau_syn_ex_s",
            "soma_in": "dg_in_s += weight*exp(1)/tau_syn_in_s",
            "proximal_ex": "dg_ex_p += weight*exp(1)/tau_syn_ex_p",
            "proximal_in": "dg_in_p += weight*exp(1)/tau_syn_in_p",
            "distal_ex": "dg_ex_d += weight*exp(1)/tau_syn_ex_d",
            "distal_in": "dg_in_d += weight*exp(1)/tau_syn_in_d",
        },
        initial={"V_m_s": "E_L_s", "V_m_p": "E_L_p", "V_m_d": "E_L_d"},
        method="strang",
        test_parts=False,
        relaxing=("V_m_s", "V_m_p", "V_m_d"),
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = (("V_reset", "V_th"),)

    V_th: Value = parameter(default=-55.0, unit="mV", doc="spike threshold, soma")
    V_reset: Value = parameter(default=-60.0, unit="mV", doc="potential after a spike, soma")
    t_ref: Value = parameter(
        default=2.0, unit="ms", doc="refractory time", low=0.0, multiple_of_dt=True
    )
    g_sp: Value = parameter(
        default=2.5, unit="nS", doc="conductance between soma and proximal dendrite", low=0.0
    )
    g_pd: Value = parameter(default=1.0, unit="nS", doc="conductance between dendrites", low=0.0)
    C_m_s: Value = parameter(default=150.0, unit="pF", doc="membrane capacitance, soma", above=0.0)
    g_L_s: Value = parameter(default=10.0, unit="nS", doc="leak conductance, soma", above=0.0)
    E_L_s: Value = parameter(default=-70.0, unit="mV", doc="resting potential, soma")
    E_ex_s: Value = parameter(default=0.0, unit="mV", doc="excitatory reversal potential, soma")
    E_in_s: Value = parameter(default=-85.0, unit="mV", doc="inhibitory reversal potential, soma")
    tau_syn_ex_s: Value = parameter(
        default=0.5, unit="ms", doc="time to peak of excitatory conductance, soma", above=0.0
    )
    tau_syn_in_s: Value = parameter(
        default=2.0, unit="ms", doc="time to peak of inhibitory conductance, soma", above=0.0
    )
    I_e_s: Value = parameter(default=0.0, unit="pA", doc="constant current, soma")
    C_m_p: Value = parameter(
        default=75.0, unit="pF", doc="membrane capacitance, proximal dendrite", above=0.0
    )
    g_L_p: Value = parameter(
        default=5.0, unit="nS", doc="leak conductance, proximal dendrite", above=0.0
    )
    E_L_p: Value = parameter(default=-70.0, unit="mV", doc="resting potential, proximal dendrite")
    E_ex_p: Value = parameter(
        default=0.0, unit="mV", doc="excitatory reversal potential, proximal dendrite"
    )
    E_in_p: Value = parameter(
        default=-85.0, unit="mV", doc="inhibitory reversal potential, proximal dendrite"
    )
    tau_syn_ex_p: Value = parameter(
        default=0.5,
        unit="ms",
        doc="time to peak of excitatory conductance, proximal dendrite",
        above=0.0,
    )
    tau_syn_in_p: Value = parameter(
        default=2.0,
        unit="ms",
        doc="time to peak of inhibitory conductance, proximal dendrite",
        above=0.0,
    )
    I_e_p: Value = parameter(default=0.0, unit="pA", doc="constant current, proximal dendrite")
    C_m_d: Value = parameter(
        default=150.0, unit="pF", doc="membrane capacitance, distal dendrite", above=0.0
    )
    g_L_d: Value = parameter(
        default=10.0, unit="nS", doc="leak conductance, distal dendrite", above=0.0
    )
    E_L_d: Value = parameter(default=-70.0, unit="mV", doc="resting potential, distal dendrite")
    E_ex_d: Value = parameter(
        default=0.0, unit="mV", doc="excitatory reversal potential, distal dendrite"
    )
    E_in_d: Value = parameter(
        default=-85.0, unit="mV", doc="inhibitory reversal potential, distal dendrite"
    )
    tau_syn_ex_d: Value = parameter(
        default=0.5,
        unit="ms",
        doc="time to peak of excitatory conductance, distal dendrite",
        above=0.0,
    )
    tau_syn_in_d: Value = parameter(
        default=2.0,
        unit="ms",
        doc="time to peak of inhibitory conductance, distal dendrite",
        above=0.0,
    )
    I_e_d: Value = parameter(default=0.0, unit="pA", doc="constant current, distal dendrite")

    def longest_part(self) -> float:
        """Return the longest part of a step that keeps errors of rates below 0.5 %, ms."""
        return min(least(self.value(name)) for name in _TIMES)

    def longest_step(self) -> float:
        """Return the longest dt that keeps rates within 3 % of those at shorter ones, ms."""
        return 0.5 * self.longest_part()
