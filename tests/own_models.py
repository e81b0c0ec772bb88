"""Models written as equations: what the built-in models of the same name are."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from distsnn.network import NeuronModel

LIF = NeuronModel(
    equations="""
        dV_m/dt = -(V_m - E_L)/tau_m + (I_syn_ex + I_syn_in + I_e + I_stim)/C_m : mV
        dI_syn_ex/dt = -I_syn_ex/tau_syn_ex : pA
        dI_syn_in/dt = -I_syn_in/tau_syn_in : pA
    """,
    threshold="V_m >= V_th",
    reset="V_m = V_reset",
    refractory="t_ref",
    receptors={"ex": "I_syn_ex", "in": "I_syn_in"},
    signed_receptors=("ex", "in"),
    parameters={
        "C_m": (250.0, "pF", "> 0"),
        "tau_m": (10.0, "ms", "> 0"),
        "tau_syn_ex": (2.0, "ms", "> 0"),
        "tau_syn_in": (2.0, "ms", "> 0"),
        "t_ref": (2.0, "ms"),
        "E_L": (-70.0, "mV"),
        "V_reset": (-70.0, "mV"),
        "V_th": (-55.0, "mV"),
        "I_e": (0.0, "pA"),
    },
    initial={"V_m": "E_L"},
    name="own_lif",
)

# Brette & Gerstner (2005), J Neurophysiol 94:3637, with exponential conductances.
ADEX = NeuronModel(
    equations="""
        V = min(V_m, V_peak) : mV  # the upstroke overshoots: w must not see how far
        I_syn = g_ex*(E_ex - V) + g_in*(E_in - V) : pA
        I_spike = g_L*Delta_T*exp((V - V_th)/Delta_T) : pA
        dV_m/dt = (-g_L*(V - E_L) + I_spike + I_syn - w + I_e + I_stim)/C_m : mV
        dw/dt = (a*(V - E_L) - w)/tau_w : pA
        dg_ex/dt = -g_ex/tau_syn_ex : nS
        dg_in/dt = -g_in/tau_syn_in : nS
    """,
    threshold="V_m >= V_peak",
    reset="V_m = V_reset; w += b",
    refractory="t_ref",
    receptors={"ex": "g_ex", "in": "-g_in"},
    signed_receptors=("ex", "in"),
    parameters={
        "C_m": (281.0, "pF", "> 0"),
        "g_L": (30.0, "nS", "> 0"),
        "E_L": (-70.6, "mV"),
        "V_th": (-50.4, "mV"),
        "Delta_T": (2.0, "mV", "> 0"),
        "V_peak": (0.0, "mV"),
        "V_reset": (-60.0, "mV"),
        "t_ref": (0.0, "ms"),
        "a": (4.0, "nS"),
        "b": (80.5, "pA"),
        "tau_w": (144.0, "ms", "> 0"),
        "E_ex": (0.0, "mV"),
        "E_in": (-85.0, "mV"),
        "tau_syn_ex": (0.2, "ms", "> 0"),
        "tau_syn_in": (2.0, "ms", "> 0"),
        "I_e": (0.0, "pA"),
    },
    initial={"V_m": "E_L"},
    method="rk4",
    substeps=4,
    name="own_adex",
)

# The same with the scheme of the built-in model.
ADEX_ROSENBROCK = replace(
    ADEX,
    equations="""
        I_syn = g_ex*(E_ex - V_m) + g_in*(E_in - V_m) : pA
        I_spike = g_L*Delta_T*exp((V_m - V_th)/Delta_T) : pA
        dV_m/dt = (-g_L*(V_m - E_L) + I_spike + I_syn - w + I_e + I_stim)/C_m : mV
        dw/dt = (a*(V_m - E_L) - w)/tau_w : pA
        dg_ex/dt = -g_ex/tau_syn_ex : nS
        dg_in/dt = -g_in/tau_syn_in : nS
    """,
    method="rosenbrock",
    substeps=1,
)

# Izhikevich (2003), IEEE Trans Neural Netw 14:1569; a current of 1 pA drives by 1 mV/ms.
IZHIKEVICH = NeuronModel(
    equations="""
        dV_m/dt = (0.04*V_m**2/mV + 5*V_m + 140*mV - U_m + (I_e + I_stim)*mV/pA)/ms : mV
        dU_m/dt = a*(b*V_m - U_m)/ms : mV
    """,
    threshold="V_m >= V_th",
    reset="""
        V_m = c
        U_m += d
    """,
    receptors={"delta": "V_m"},
    parameters={
        "a": (0.02, "1"),
        "b": (0.2, "1"),
        "c": (-65.0, "mV"),
        "d": (8.0, "mV"),
        "V_th": (30.0, "mV"),
        "I_e": (0.0, "pA"),
    },
    initial={"V_m": -65.0, "U_m": -13.0},
    method="euler",
    name="own_izhikevich",
)

# Leaky integrate-and-fire neuron with conductances: exact and exponential Euler in one.
COBA = NeuronModel(
    equations="""
        dV_m/dt = (g_L*(E_L - V_m) + g_ex*(E_ex - V_m) + g_in*(E_in - V_m) + I_e + I_stim)/C_m : mV
        dg_ex/dt = -g_ex/tau_syn_ex : nS
        dg_in/dt = -g_in/tau_syn_in : nS
    """,
    threshold="V_m >= V_th",
    reset="V_m = V_reset",
    refractory="t_ref",
    receptors={"ex": "g_ex", "in": "-g_in"},
    signed_receptors=("ex", "in"),
    parameters={
        "C_m": (200.0, "pF", "> 0"),
        "g_L": (10.0, "nS", "> 0"),
        "E_L": (-60.0, "mV"),
        "E_ex": (0.0, "mV"),
        "E_in": (-80.0, "mV"),
        "V_th": (-50.0, "mV"),
        "V_reset": (-60.0, "mV"),
        "t_ref": (5.0, "ms"),
        "tau_syn_ex": (5.0, "ms", "> 0"),
        "tau_syn_in": (10.0, "ms", "> 0"),
        "I_e": (0.0, "pA"),
    },
    initial={"V_m": "E_L"},
    name="own_coba",
)

# Receptors of three kinds (Jahr & Stevens 1990, J Neurosci 10:3178, for magnesium's block of NMDA).
THREE_RECEPTORS = NeuronModel(
    equations="""
        open = 1/(1 + exp(-0.062*V_m/mV)/3.57) : 1
        I_ampa = g_ampa*(E_ex - V_m) : pA
        I_nmda = g_nmda*open*(E_ex - V_m) : pA
        I_gaba = g_gaba*(E_in - V_m) : pA
        dV_m/dt = (g_L*(E_L - V_m) + I_ampa + I_nmda + I_gaba + I_e + I_stim)/C_m : mV
        dg_ampa/dt = -g_ampa/tau_ampa : nS
        dg_nmda/dt = -g_nmda/tau_nmda : nS
        dg_gaba/dt = -g_gaba/tau_gaba : nS
    """,
    threshold="V_m >= V_th",
    reset="V_m = V_reset",
    refractory="t_ref",
    receptors={"ampa": "g_ampa", "nmda": "g_nmda", "gaba": "g_gaba"},
    parameters={
        "C_m": (200.0, "pF", "> 0"),
        "g_L": (10.0, "nS", "> 0"),
        "E_L": (-65.0, "mV"),
        "E_ex": (0.0, "mV"),
        "E_in": (-80.0, "mV"),
        "V_th": (-50.0, "mV"),
        "V_reset": (-60.0, "mV"),
        "t_ref": (2.0, "ms"),
        "tau_ampa": (2.0, "ms", "> 0"),
        "tau_nmda": (100.0, "ms", "> 0"),
        "tau_gaba": (6.0, "ms", "> 0"),
        "I_e": (0.0, "pA"),
    },
    initial={"V_m": "E_L"},
    method="rosenbrock",
    name="own_three_receptors",
)

DT = 0.1  # ms
# Constant currents at which they fire, pA; 500 for the others.
DRIVE = {"own_adex": 1500.0, "own_izhikevich": 10.0, "own_coba": 120.0}


def given_values(
    model: NeuronModel, n: int | None, seed: int
) -> dict[str, npt.NDArray[np.float64]]:
    """Return parameters at which a model fires, own ones for each of n neurons."""
    rng = np.random.default_rng(seed)
    found = {name: np.asarray(spec[0], float) for name, spec in model.parameters.items()}
    found["I_e"] = np.asarray(DRIVE.get(model.name, 500.0))
    if n is None:
        return found
    spread = {name: value * rng.uniform(0.97, 1.03, n) for name, value in found.items()}
    if "t_ref" in spread:
        spread["t_ref"] = np.rint(spread["t_ref"] / DT) * DT
    return spread


# Noise, chance and time: white noise that two states share, random thresholds and resets.
NOISY = NeuronModel(
    equations="""
        dV_m/dt = (mu*(1 + t/tau) - V_m)/tau_m + sigma*sqrt(2/tau_m)*xi : mV
        dtwin/dt = -twin/tau_m + sigma*sqrt(2/tau_m)*xi + sigma*sqrt(1/tau_m)*xi_own : mV
        hazard = rate*exp((V_m - V_th)/mV) : Hz
    """,
    threshold="uniform() < 1 - exp(-hazard*dt)",
    reset="V_m = jump*normal(); twin += jump*(normal() + poisson(hazard*ms) - binomial(3, 0.4))",
    refractory="t_ref",
    hold="V_m",
    receptors={"delta": "V_m"},
    parameters={
        "mu": (12.0, "mV"),
        "tau": (50.0, "ms", "> 0"),
        "tau_m": (10.0, "ms", "> 0"),
        "sigma": (3.0, "mV"),
        "rate": (50.0, "Hz", ">= 0"),
        "V_th": (15.0, "mV"),
        "jump": (2.0, "mV"),
        "t_ref": (1.0, "ms"),
    },
    name="noisy",
)

# Spikes in bursts of a random size, which a local variable of the reset also uses.
BURSTS = NeuronModel(
    equations="""
        dV_m/dt = (I_e - V_m)/tau_m : mV
        dlast/dt = 0/ms : 1
        burst = 1 + poisson(size) : 1
    """,
    threshold="V_m >= V_th",
    reset="rest = V_m - V_th; last = burst; V_m = rest - 0.5*mV*last",
    refractory="t_ref",
    receptors={"delta": "V_m"},
    spike_count="burst",
    parameters={
        "tau_m": (10.0, "ms", "> 0"),
        "size": (1.5, "1", ">= 0"),
        "V_th": (15.0, "mV"),
        "t_ref": (1.0, "ms"),
        "I_e": (14.0, "mV"),
    },
    name="bursts",
)
