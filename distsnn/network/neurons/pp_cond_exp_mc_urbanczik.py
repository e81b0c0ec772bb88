"""Point process neuron with a soma and a dendrite that predicts the soma's spikes."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.checks import NOT_NEGATIVE, Interval
from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import SubsteppedNeuron, parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value, least, least_ratio


@neuron_model
class PpCondExpMcUrbanczik(SubsteppedNeuron, EquationNeuron):
    """Point process neuron with two compartments (NEST's pp_cond_exp_mc_urbanczik).

    The names of parameters and state variables end in ``_s`` for the soma and ``_p`` for the
    dendrite. g_sp (V_m_p - V_m_s) flows into the soma, g_ps (V_m_s - V_m_p) into the dendrite.
    Weights are at least 0: at `soma_ex` and `soma_in` they add to a conductance, at `dendritic_ex`
    they add to a current, and at `dendritic_in` they are subtracted from one.

    With a(V) = 1/(1 + rate_slope exp(beta (theta - V))), the neuron spikes at the rate
    phi_max a(V_m_s): in a step with probability 1 - exp(-rate dt). A spike resets no potential. For
    t_ref the neuron then does not spike; all variables continue.

    A plasticity rule (`UrbanczikSenn`) reads the state `prediction_error` at the end of a step. The
    dendrite alone would take the soma to V* = (g_L_s E_L_s + g_sp V_m_p)/(g_L_s + g_sp), and so
    predicts the rate phi_max a(V*). The error is (S - phi_max a(V*) dt) 15 beta (1 - a(V*)), where
    S is 1 in a step with a spike and 0 in all others. The factor 15 is NEST's.

    Current stimuli reach the soma. With t_ref = 0 a neuron spikes at most once per step, while NEST
    draws a Poisson number of spikes. NEST accepts parameters and currents of the dendrite that do
    not act (I_e, E_ex, E_in, dendritic_curr); they do not exist here.

    Conductances and currents of synapses are integrated exactly. The dendrite's potential takes
    half a part of a step with the soma's held; then the soma's takes the part, and the dendrite's
    takes the other half (Strang splitting). The error falls with the square of `substeps`. By
    default a part is at most 0.15 tau_syn_x, 0.21 C_m_s/(g_L_s + g_sp) and 0.21 C_m_p/(g_L_p +
    g_ps) long (`longest_part`). A step ends with one random number, so rates also depend on dt
    (`longest_step`).

    Source: Urbanczik & Senn (2014), Neuron 81:521, doi:10.1016/j.neuron.2013.11.030.
    """

    name: ClassVar[str] = "pp_cond_exp_mc_urbanczik"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "pp_cond_exp_mc_urbanczik"}
    allowed_weights: ClassVar[Mapping[str, Interval]] = {
        f"{part}_{kind}": NOT_NEGATIVE for part in ("soma", "dendritic") for kind in ("ex", "in")
    }
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        I_syn_s = g_ex_s*(E_ex_s - V_m_s) + g_in_s*(E_in_s - V_m_s) : pA
        I_s = g_L_s*(E_L_s - V_m_s) + I_syn_s + g_sp*(V_m_p - V_m_s) + I_e_s + I_stim : pA
        I_p = g_L_p*(E_L_p - V_m_p) + I_ex_p + I_in_p + g_ps*(V_m_s - V_m_p) : pA
        dV_m_p/dt = I_p/C_m_p : mV  # potential, dendrite
        dV_m_s/dt = I_s/C_m_s : mV  # potential, soma
        dg_ex_s/dt = -g_ex_s/tau_syn_ex_s : nS  # excitatory conductance, soma
        dg_in_s/dt = -g_in_s/tau_syn_in_s : nS  # inhibitory conductance, soma
        dI_ex_p/dt = -I_ex_p/tau_syn_ex_p : pA  # excitatory current, dendrite
        dI_in_p/dt = -I_in_p/tau_syn_in_p : pA  # inhibitory current, dendrite
        dspiked/dt = 0/ms : 1  # 1 between a spike and the end of its step
        dprediction_error/dt = 0/(mV*ms) : 1/mV  # error of the dendrite's prediction
        active = 1/(1 + rate_slope*exp(min(beta*(theta - V_m_s), 80))) : 1
        V_star = (g_L_s*E_L_s + g_sp*V_m_p)/(g_L_s + g_sp) : mV
        predicted = 1/(1 + rate_slope*exp(min(beta*(theta - V_star), 80))) : 1
        """,
        threshold="uniform() > exp(-phi_max*active*dt)",
        reset="spiked = 1",
        refractory="t_ref",
        hold=(),
        events={
            "step": (
                "",
                "prediction_error = (spiked - phi_max*predicted*dt)*(15*beta*(1 - predicted)); "
                "spiked = 0",
            )
        },
        receptors={
            "soma_ex": "g_ex_s",
            "soma_in": "g_in_s",
            "dendritic_ex": "I_ex_p",
            "dendritic_in": "-I_in_p",
        },
        initial={"V_m_s": "E_L_s", "V_m_p": "E_L_p"},
        method="strang",
        test_parts=False,
        relaxing=("V_m_s", "V_m_p"),
    )

    phi_max: Value = parameter(default=0.15, unit="1/ms", doc="largest rate", low=0.0)
    rate_slope: Value = parameter(default=0.5, unit="1", doc="factor of the exponential", low=0.0)
    beta: Value = parameter(default=1.0 / 3.0, unit="1/mV", doc="steepness of the rate")
    theta: Value = parameter(default=-55.0, unit="mV", doc="potential around which the rate grows")
    t_ref: Value = parameter(
        default=3.0, unit="ms", doc="refractory time", low=0.0, multiple_of_dt=True
    )
    g_sp: Value = parameter(
        default=600.0, unit="nS", doc="conductance from dendrite to soma", low=0.0
    )
    g_ps: Value = parameter(
        default=0.0, unit="nS", doc="conductance from soma to dendrite", low=0.0
    )
    C_m_s: Value = parameter(default=300.0, unit="pF", doc="membrane capacitance, soma", above=0.0)
    g_L_s: Value = parameter(default=30.0, unit="nS", doc="leak conductance, soma", above=0.0)
    E_L_s: Value = parameter(default=-70.0, unit="mV", doc="resting potential, soma")
    E_ex_s: Value = parameter(default=0.0, unit="mV", doc="excitatory reversal potential, soma")
    E_in_s: Value = parameter(default=-75.0, unit="mV", doc="inhibitory reversal potential, soma")
    tau_syn_ex_s: Value = parameter(
        default=3.0, unit="ms", doc="decay of the excitatory conductance, soma", above=0.0
    )
    tau_syn_in_s: Value = parameter(
        default=3.0, unit="ms", doc="decay of the inhibitory conductance, soma", above=0.0
    )
    I_e_s: Value = parameter(default=0.0, unit="pA", doc="constant current, soma")
    C_m_p: Value = parameter(
        default=300.0, unit="pF", doc="membrane capacitance, dendrite", above=0.0
    )
    g_L_p: Value = parameter(default=30.0, unit="nS", doc="leak conductance, dendrite", above=0.0)
    E_L_p: Value = parameter(default=-70.0, unit="mV", doc="resting potential, dendrite")
    tau_syn_ex_p: Value = parameter(
        default=3.0, unit="ms", doc="decay of the excitatory current, dendrite", above=0.0
    )
    tau_syn_in_p: Value = parameter(
        default=3.0, unit="ms", doc="decay of the inhibitory current, dendrite", above=0.0
    )

    def longest_part(self) -> float:
        """Return the longest part of a step that keeps errors of rates below 0.5 %, ms."""
        rates = (
            1.0 / least_ratio(self.C_m_s, self.g_L_s) + 1.0 / least_ratio(self.C_m_s, self.g_sp),
            1.0 / least_ratio(self.C_m_p, self.g_L_p) + 1.0 / least_ratio(self.C_m_p, self.g_ps),
        )
        return min(0.15 * min(map(least, self._synaptic_times())), 0.21 / max(rates))

    def longest_step(self) -> float:
        """Return the longest dt that keeps rates within 3 % of those at shorter ones, ms."""
        synapses = min(map(least, self._synaptic_times()))
        # the shortest mean interval between spikes, which a step lengthens by up to dt/2
        interval = least_ratio(1.0, self.phi_max) + least(self.t_ref)
        return min(0.25 * synapses, 0.04 * interval)

    def _synaptic_times(self) -> list[Value]:
        return [self.tau_syn_ex_s, self.tau_syn_in_s, self.tau_syn_ex_p, self.tau_syn_in_p]
