"""Neurons, synapses and input of Brian2's documentation, as texts and as Brian2 takes them."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from distsnn.network import (
    NeuronModel,
    PlasticityModel,
    PlasticSynapse,
)

SIZE = 6


@dataclass(frozen=True)
class Learning:
    """Synapses that learn, from source i to neuron i, as a text and as Brian2 takes them.

    Parameters
    ----------
    rule : PlasticSynapse
        The text.
    texts : mapping of str to str
        Brian2's.
    weight : (str, float)
        Brian2's name of the weight, and its first value.
    rate : float
        Spikes of each source, 1/s.
    """

    rule: PlasticSynapse
    texts: dict[str, str]
    weight: tuple[str, float]
    rate: float


@dataclass(frozen=True)
class Example:
    """A neuron of Brian2's documentation, as a text and as Brian2 takes it.

    Parameters
    ----------
    model : NeuronModel
        The text.
    equations, threshold, reset : str
        Brian2's; its names of variables are ours.
    initial : mapping
        Initial values that are not 0, in our units.
    receptors : mapping of str to (float, str)
        Weight and Brian2's variables of each receptor that gets spikes.
    for_one_step : bool
        Whether Brian2 takes weights back after one step.
    current : (float, float)
        Range of the current that changes every 5 ms, pA.
    dt, time : float
        Step and duration, ms.
    size : int
        Number of neurons.
    values : mapping of str to float
        Parameters that are not the text's.
    learning : Learning, optional
        Synapses that learn.
    """

    model: NeuronModel
    equations: str
    threshold: str
    reset: str
    initial: dict[str, Any]
    receptors: dict[str, tuple[float, str]] = field(default_factory=dict)
    current: tuple[float, float] = (0.0, 0.0)
    dt: float = 0.05
    time: float = 100.0
    size: int = SIZE
    values: dict[str, float] = field(default_factory=dict)
    for_one_step: bool = False
    learning: Learning | None = None


def normal(mean: float, deviation: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, deviation, SIZE)


# Brette et al. (2007), J Comput Neurosci 23:349, benchmark 3
COBAHH = NeuronModel(
    """
    x = v - V_T : mV
    alpha_m = 1.28/exprel((13*mV - x)/(4*mV))/ms : 1/ms
    beta_m = 1.4/exprel((x - 40*mV)/(5*mV))/ms : 1/ms
    alpha_h = 0.128*exp((17*mV - x)/(18*mV))/ms : 1/ms
    beta_h = 4/(1 + exp((40*mV - x)/(5*mV)))/ms : 1/ms
    alpha_n = 0.16/exprel((15*mV - x)/(5*mV))/ms : 1/ms
    beta_n = 0.5*exp((10*mV - x)/(40*mV))/ms : 1/ms
    I = g_l*(E_l - v) + ge*(E_e - v) + gi*(E_i - v) + I_stim : pA
    dv/dt = (I - g_na*m**3*h*(v - E_Na) - g_kd*n**4*(v - E_K))/C_m : mV
    dm/dt = alpha_m*(1 - m) - beta_m*m : 1
    dn/dt = alpha_n*(1 - n) - beta_n*n : 1
    dh/dt = alpha_h*(1 - h) - beta_h*h : 1
    dge/dt = -ge/tau_e : nS
    dgi/dt = -gi/tau_i : nS
    """,
    threshold="v > -20*mV",
    refractory="t_ref",
    hold=(),
    receptors={"e": "ge", "i": "gi"},
    parameters={
        "C_m": (200.0, "pF"),
        "g_l": (10.0, "nS"),
        "g_na": (20000.0, "nS"),
        "g_kd": (6000.0, "nS"),
        "E_l": (-60.0, "mV"),
        "E_K": (-90.0, "mV"),
        "E_Na": (50.0, "mV"),
        "E_e": (0.0, "mV"),
        "E_i": (-80.0, "mV"),
        "V_T": (-63.0, "mV"),
        "tau_e": (5.0, "ms"),
        "tau_i": (10.0, "ms"),
        "t_ref": (3.0, "ms"),
    },
    method="rk4",
)
# Rothman & Manis (2003), J Neurophysiol 89:3097: type I-c, whose other currents are 0, at 22 °C
ROTHMAN_MANIS = NeuronModel(
    """
    u = v/mV : 1
    I_Na = g_Na*m**3*h*(E_Na - v) : pA
    I_KHT = g_KHT*(0.85*n**2 + 0.15*p)*(E_K - v) : pA
    I_h = g_h*r*(E_h - v) : pA
    dv/dt = (g_l*(E_l - v) + I_Na + I_KHT + I_h + I_stim)/C_m : mV
    m_inf = 1/(1 + exp(-(u + 38)/7)) : 1
    h_inf = 1/(1 + exp((u + 65)/6)) : 1
    n_inf = 1/sqrt(1 + exp(-(u + 15)/5)) : 1
    p_inf = 1/(1 + exp(-(u + 23)/6)) : 1
    r_inf = 1/(1 + exp((u + 76)/7)) : 1
    tau_m = (10/(5*exp((u + 60)/18) + 36*exp(-(u + 60)/25)) + 0.04)*ms : ms
    tau_h = (100/(7*exp((u + 60)/11) + 10*exp(-(u + 60)/25)) + 0.6)*ms : ms
    tau_n = (100/(11*exp((u + 60)/24) + 21*exp(-(u + 60)/23)) + 0.7)*ms : ms
    tau_p = (100/(4*exp((u + 60)/32) + 5*exp(-(u + 60)/22)) + 5)*ms : ms
    tau_r = (100000/(237*exp((u + 60)/12) + 17*exp(-(u + 60)/14)) + 25)*ms : ms
    dm/dt = (m_inf - m)/tau_m : 1
    dh/dt = (h_inf - h)/tau_h : 1
    dn/dt = (n_inf - n)/tau_n : 1
    dp/dt = (p_inf - p)/tau_p : 1
    dr/dt = (r_inf - r)/tau_r : 1
    """,
    threshold="v > -20*mV",
    refractory="t_ref",
    hold=(),
    parameters={
        "C_m": (12.0, "pF"),
        "g_l": (2.0, "nS"),
        "g_Na": (1000.0, "nS"),
        "g_KHT": (150.0, "nS"),
        "g_h": (0.5, "nS"),
        "E_l": (-65.0, "mV"),
        "E_K": (-70.0, "mV"),
        "E_Na": (50.0, "mV"),
        "E_h": (-43.0, "mV"),
        "t_ref": (2.0, "ms"),
    },
    method="rk4",
)
# Brunel & Wang (2001), J Comput Neurosci 11:63: the gating of one source's NMDA synapse, not
# approximated, is a part of the neuron
BRUNEL_WANG = NeuronModel(
    """
    unblocked = 1/(1 + Mg2*exp(-0.062*v/mV)/3.57) : 1
    I_ex = (g_ext*s_ext + g_AMPA*s_AMPA + g_NMDA*unblocked*s_NMDA)*(v - E_e) : pA
    I = I_ex + g_GABA*s_GABA*(v - E_i) : pA
    dv/dt = (-g_l*(v - E_l) - I + I_stim)/C_m : mV
    ds_ext/dt = -s_ext/tau_AMPA : 1
    ds_AMPA/dt = -s_AMPA/tau_AMPA : 1
    ds_GABA/dt = -s_GABA/tau_GABA : 1
    ds_NMDA/dt = -s_NMDA/tau_decay + alpha*x*(1 - s_NMDA) : 1
    dx/dt = -x/tau_rise : 1
    """,
    threshold="v > V_th",
    reset="v = V_reset",
    refractory="t_ref",
    receptors={"ext": "s_ext", "GABA": "s_GABA", "glutamate": "s_AMPA += weight; x += weight"},
    parameters={
        "C_m": (500.0, "pF"),
        "g_l": (25.0, "nS"),
        "g_ext": (2.08, "nS"),
        "g_AMPA": (0.104, "nS"),
        "g_NMDA": (0.327, "nS"),
        "g_GABA": (1.25, "nS"),
        "E_l": (-70.0, "mV"),
        "E_e": (0.0, "mV"),
        "E_i": (-70.0, "mV"),
        "V_th": (-50.0, "mV"),
        "V_reset": (-55.0, "mV"),
        # Brian2 holds one step less
        "t_ref": (1.9, "ms"),
        "tau_AMPA": (2.0, "ms"),
        "tau_GABA": (10.0, "ms"),
        "tau_rise": (2.0, "ms"),
        "tau_decay": (100.0, "ms"),
        "alpha": (0.5, "1/ms"),
        "Mg2": (1.0, "1"),
    },
    method="euler",
)
# Brette & Guigon (2003), Neural Comput 15:279: neurons share a fluctuating input x, here I_stim
BRETTE_GUIGON = NeuronModel(
    """
    B = 2/(1 + exp(-2*I_stim/pA)) - 1 : 1
    I = 0.5 + 3*p*B : 1
    dv/dt = (v*I + 1)/tau + sigma*sqrt(2/tau)*xi : 1
    """,
    threshold="v > 1",
    reset="v = 0",
    parameters={"tau": (33.0, "ms"), "sigma": (0.0, "1"), "p": (0.5, "1")},
    method="euler",
)
# Izhikevich (2003), IEEE Trans Neural Netw 14:1569: in the example a weight is a current for one
# step
IZHIKEVICH = NeuronModel(
    """
    dv/dt = (0.04*v**2 + 5*v + 140 - u + I + I_stim/pA)/ms : 1
    du/dt = a*(b*v - u)/ms : 1
    dI/dt = -I/dt : 1
    """,
    threshold="v >= 30",
    reset="v = c; u += d",
    receptors={"ex": "I"},
    parameters={"a": (0.02, "1"), "b": (0.2, "1"), "c": (-65.0, "1"), "d": (8.0, "1")},
    method="euler",
)
# Clopath et al. (2010), Nat Neurosci 13:344: the rule with homeostasis as the example adapts it.
# The filters of v jump at a spike. In the step of a spike `spike` is 1
CLOPATH = NeuronModel(
    """
    I = g_leak*(V_rest - v) + g_ampa*(E_ampa - v) + I_stim : pA
    dv/dt = I/C_m : mV
    dlow_1/dt = (v - low_1)/tau_low_1 : mV
    dlow_2/dt = (v - low_2)/tau_low_2 : mV
    dv_homeo/dt = (v - V_rest - v_homeo)/tau_homeo : mV
    dg_ampa/dt = -g_ampa/tau_ampa : nS
    dspike/dt = 0/ms : 1
    """,
    threshold="v > V_th",
    reset="v = V_rest; low_1 += 10*mV; low_2 += 10*mV; v_homeo += 0.1*mV; spike = 2",
    events={"spike": ("", "spike = max(spike - 1, 0)")},
    receptors={"ampa": "g_ampa += g_max*weight"},
    parameters={
        "C_m": (300.0, "pF"),
        "g_leak": (30.0, "nS"),
        "g_max": (50.0, "nS"),
        "V_rest": (-70.0, "mV"),
        "V_th": (-55.0, "mV"),
        "E_ampa": (0.0, "mV"),
        "tau_ampa": (2.0, "ms"),
        "tau_low_1": (40.0, "ms"),
        "tau_low_2": (30.0, "ms"),
        "tau_homeo": (1000.0, "ms"),
    },
    method="euler",
)
# Two things differ from the example, in Brian2's run too: the target's spike comes before the
# source's of the same step, and the weight arrives two steps after the state of the target that
# depression reads.
CLOPATH_RULE = PlasticityModel(
    """
    dx/dt = -x/tau_x : 1 (pre)
    up = spike_post*max(low_2_post - V_low, 0) : mV (post)
    down = max(low_1_post - V_low, 0)*v_homeo_post**2 : mV**3 (post)
    """,
    on_pre="""
        sent = w
        w = clip(w - A_LTD/v_target*down, 0, w_max)
        x += 1*ms/tau_x
    """,
    on_step="w = clip(w + A_LTP*x*up, 0, w_max)",
    transmit="sent",
    target={"low_1": "mV", "low_2": "mV", "v_homeo": "mV", "spike": "1"},
    weight_unit="1",
    parameters={
        "tau_x": (15.0, "ms"),
        "A_LTP": (1.5e-2, "1/mV"),
        "A_LTD": (1.5e-4, "1/mV"),
        "v_target": (12.0, "mV**2"),
        "V_low": (-70.0, "mV"),
    },
)
FLUCTUATING = """
    dv/dt = (v*I + 1)/tau + sigma*(2/tau)**.5*xi : 1
    I = 0.5 + 3*p*(2./(1 + exp(-2*I_ext/pamp)) - 1) : 1
"""

EXAMPLES = {
    "COBAHH": Example(
        COBAHH,
        """
        dv/dt = (g_l*(E_l-v) + ge*(E_e-v) + gi*(E_i-v) + I_ext
                 - g_na*m**3*h*(v-E_Na) - g_kd*n**4*(v-E_K))/C_m : volt
        dm/dt = a_m*(1-m) - b_m*m : 1
        dn/dt = a_n*(1-n) - b_n*n : 1
        dh/dt = a_h*(1-h) - b_h*h : 1
        dge/dt = -ge/tau_e : siemens
        dgi/dt = -gi/tau_i : siemens
        y = (v-V_T)/mV : 1
        a_m = 0.32*4/exprel((13-y)/4)/ms : Hz
        b_m = 0.28*5/exprel((y-40)/5)/ms : Hz
        a_h = 0.128*exp((17-y)/18)/ms : Hz
        b_h = 4/(1+exp((40-y)/5))/ms : Hz
        a_n = 0.032*5/exprel((15-y)/5)/ms : Hz
        b_n = .5*exp((10-y)/40)/ms : Hz
        """,
        "v > -20*mV",
        "",
        {"v": normal(-65.0, 5.0, 1), "ge": np.abs(normal(40.0, 15.0, 2)), "gi": 60.0},
        {"e": (6.0, "ge"), "i": (6.0, "gi")},
        (600.0, 1500.0),
    ),
    "Rothman_Manis": Example(
        ROTHMAN_MANIS,
        """
        dv/dt = (g_l*(E_l-v) + g_Na*m**3*h*(E_Na-v) + g_KHT*(.85*n**2+.15*p)*(E_K-v)
                 + g_h*r*(E_h-v) + I_ext)/C_m : volt
        vu = v/mV + 60 : 1
        dm/dt = (1/(1+exp(-(vu-22)/7)) - m)/(10/(5*exp(vu/18)+36*exp(-vu/25))+.04)/ms : 1
        dh/dt = (1/(1+exp((vu+5)/6)) - h)/(100/(7*exp(vu/11)+10*exp(-vu/25))+.6)/ms : 1
        dn/dt = ((1+exp(-(vu-45)/5))**-.5 - n)/(100/(11*exp(vu/24)+21*exp(-vu/23))+.7)/ms : 1
        dp/dt = (1/(1+exp(-(vu-37)/6)) - p)/(100/(4*exp(vu/32)+5*exp(-vu/22))+5)/ms : 1
        dr/dt = (1/(1+exp((vu+16)/7)) - r)/(1e5/(237*exp(vu/12)+17*exp(-vu/14))+25)/ms : 1
        """,
        "v > -20*mV",
        "",
        {"v": normal(-65.0, 2.0, 3)},
        current=(50.0, 400.0),
    ),
    "Brunel_Wang_2001": Example(
        BRUNEL_WANG,
        """
        dv/dt = (-g_l*(v-E_l) - I_syn + I_ext)/C_m : volt (unless refractory)
        I_syn = (v-E_e)*(g_ext*s_ext + g_AMPA*s_AMPA + I_N) + g_GABA*(v-E_i)*s_GABA : amp
        I_N = g_NMDA*s_NMDA/(1+Mg2*exp(-.062*v/mV)/3.57) : siemens
        ds_ext/dt = -s_ext/tau_AMPA : 1
        ds_AMPA/dt = -s_AMPA/tau_AMPA : 1
        ds_GABA/dt = -s_GABA/tau_GABA : 1
        ds_NMDA/dt = -s_NMDA/tau_decay + alpha*x*(1-s_NMDA) : 1
        dx/dt = -x/tau_rise : 1
        """,
        "v > V_th",
        "v = V_reset",
        {"v": normal(-60.0, 4.0, 4)},
        # a glutamatergic spike opens AMPA and NMDA receptors
        {"ext": (8.0, "s_ext"), "GABA": (4.0, "s_GABA"), "glutamate": (1.0, "s_AMPA x")},
        (500.0, 900.0),
        dt=0.1,
    ),
    "Brette_Guigon_2003": Example(
        BRETTE_GUIGON,
        FLUCTUATING,
        "v > 1",
        "v = 0",
        {"v": np.linspace(0.0, 0.9, SIZE)},
        current=(-1.5, 1.5),
        dt=0.1,
        time=200.0,
    ),
}
EXAMPLES["Izhikevich_2003"] = Example(
    IZHIKEVICH,
    """
    dv/dt = (0.04*v**2 + 5*v + 140 - u + I + I_ext/pamp)/ms : 1
    du/dt = (a*(b*v - u))/ms : 1
    I : 1
    """,
    "v >= 30",
    "v = c; u += d",
    {"v": normal(-65.0, 5.0, 5), "u": -13.0},
    {"ex": (5.0, "I")},
    (2.0, 12.0),
    dt=1.0,
    time=300.0,
    for_one_step=True,
)
# no example of the documentation: statements with local variables
_RESET = "rise = v - 30; v = c + 0.01*rise; rise *= a; u += d + 0.1*rise + 0.02*(v - c)"
EXAMPLES["local_variables"] = replace(
    EXAMPLES["Izhikevich_2003"], model=replace(IZHIKEVICH, reset=_RESET), reset=_RESET
)
EXAMPLES["Clopath_et_al_2010_homeostasis"] = Example(
    CLOPATH,
    """
    dv/dt = (g_leak*(V_rest - v) + I_ext + g_ampa*(E_ampa - v))/C_m : volt
    dlow_1/dt = (v - low_1)/tau_low_1 : volt
    dlow_2/dt = (v - low_2)/tau_low_2 : volt
    dv_homeo/dt = (v - V_rest - v_homeo)/tau_homeo : volt
    dg_ampa/dt = -g_ampa/tau_ampa : siemens
    spike : 1
    """,
    "v > V_th",
    "v = V_rest",
    {"v": -70.0, "low_1": -70.0, "low_2": -70.0},
    current=(0.0, 400.0),
    dt=0.5,
    time=2000.0,
    learning=Learning(
        CLOPATH_RULE(w_max=1.0, precision="float64"),
        {
            "sources": "dx_trace/dt = -x_trace/tau_x : 1",
            "source_reset": "x_trace += 1/(tau_x/ms)",
            "model": "w_ampa : 1\nsent : 1",
            "on_arrival": "g_ampa_post += sent*g_max",
            "on_pre": """
                sent = w_ampa
                A_LTD_u = A_LTD*(v_homeo**2/v_target)
                w_minus = A_LTD_u*(low_1_post - V_low)*int(low_1_post > V_low)
                w_ampa = clip(w_ampa - w_minus, 0, 1)
            """,
            "on_post": """
                low_1 += 10*mV
                low_2 += 10*mV
                v_homeo += 0.1*mV
                w_plus = A_LTP*x_trace_pre*(low_2_post - V_low)*int(low_2_post > V_low)
                w_ampa = clip(w_ampa + w_plus, 0, 1)
            """,
        },
        ("w_ampa", 0.5),
        35.0,
    ),
)
N_NOISY = 200
# No example has all functions.
FUNCTIONS = """
    a = sin(p) + 0.5*cos(2*p) + 0.1*tan(0.5*sin(p)) : 1
    b = arcsin(0.9*sin(p)) + arccos(0.9*cos(p)) + arctan(a) : 1
    c = sinh(a) + cosh(a) + tanh(b) + expm1(a) + log10(2 + a**2) + log1p(b**2) : 1
    d = 0.2*sign(a) + floor(p) - ceil(p) + clip(b, 0, 1) : 1
    dp/dt = 1/tau_p : 1
    dx/dt = (b + d - x)/tau_x : 1
"""
EXAMPLES["functions"] = Example(
    NeuronModel(
        f"{FUNCTIONS}\ndv/dt = (V_0*(c + d) + I_stim/g - v)/tau_v : mV",
        threshold="v > V_th",
        reset="v = 0*mV",
        parameters={
            "tau_p": (13.7, "ms"),
            "tau_x": (3.0, "ms"),
            "tau_v": (5.0, "ms"),
            "V_0": (1.0, "mV"),
            "g": (100.0, "nS"),
            "V_th": (5.0, "mV"),
        },
        method="euler",
    ),
    f"{FUNCTIONS}\ndv/dt = (V_0*(c + d) + I_ext/g - v)/tau_v : volt",
    "v > V_th",
    "v = 0*mV",
    {"p": np.arange(SIZE) / 7.0},
    current=(0.0, 100.0),
)
EXAMPLES["noise"] = replace(
    EXAMPLES["Brette_Guigon_2003"],
    values={"sigma": 0.1},
    initial={"v": 0.0},
    size=N_NOISY,
)
