"""A modulated rule for tests: pairings make an eligibility that the modulator turns into weight."""

import numpy as np

from distsnn.jit import inline
from distsnn.kernels.functions import exp

SOURCE, TARGET, STATES = ("x",), ("y",), ("c",)
MODULATED = True
DECAYS = {"x": "tau", "y": "tau", "c": "tau_c", "m": "tau_n"}
CONSTANTS = {
    "tau": "real",
    "tau_c": "real",
    "tau_n": "real",
    "rate": "real",
    "w_max": "real",
    "one": "real",
}


def constants(parameters, dt):
    p = parameters
    tau_c = p["tau_c"] / dt
    tau_n = p["tau_n"] / dt if p["modulator"] else np.asarray(np.inf)
    return {
        "tau": p["tau"] / dt,
        "tau_c": tau_c,
        "tau_n": tau_n,
        "rate": 1.0 / tau_c + 1.0 / tau_n,
        "w_max": p["w_max"],
        "one": np.ones(()),
    }


@inline
def source_spike(x, tau, tau_c, tau_n, rate, w_max, one):
    return (x + one,)


@inline
def target_spike(y, tau, tau_c, tau_n, rate, w_max, one):
    return (y + one,)


@inline
def modulator_spike(m, tau, tau_c, tau_n, rate, w_max, one):
    return (m + one,)


@inline
def between(w, c, steps, m, tau, tau_c, tau_n, rate, w_max, one):
    w = w + c * m * (one - exp(-(steps * rate))) / rate
    return min(max(w, one - one), w_max), c * exp(-(steps / tau_c))


@inline
def on_post(w, c, x, y, m, tau, tau_c, tau_n, rate, w_max, one):
    return w, c + x


@inline
def on_pre(w, c, x, y, m, tau, tau_c, tau_n, rate, w_max, one):
    return w, c - y
