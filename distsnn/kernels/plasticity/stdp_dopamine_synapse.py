"""STDP gated by a third factor (Izhikevich 2007; Potjans et al. 2010).

Pairings change an eligibility c, which decays; the modulator m turns it into weight:

    post: c + A_plus x        pre: c - A_minus y
    dw/dt = c (m - b)         dc/dt = -c/tau_c        dm/dt = -m/tau_n

x and y count the spikes of source and target, and decay with tau_plus and tau_minus. A spike of a
modulating neuron adds 1/tau_n to m, so that its integral is 1; where m is a signal, which stays as
it is set, tau_n is infinite. Between events w has a closed form, with 1/s = 1/tau_c + 1/tau_n:

    w(t) = w + c (m s (1 - exp(-t/s)) - b tau_c (1 - exp(-t/tau_c)))
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import bounded, expm1
from distsnn.kernels.plasticity.traces import counted

SOURCE = ("x",)
TARGET = ("y",)
STATES = ("c",)
MODULATED = True
DECAYS = {"x": "tau_plus", "y": "tau_minus", "c": "tau_c", "m": "tau_n"}
CONSTANTS = {
    "tau_plus": "real",
    "tau_minus": "real",
    "tau_c": "real",
    "tau_n": "real",
    "rate": "real",
    "of_m": "real",
    "of_b": "real",
    "up": "real",
    "down": "real",
    "jump": "real",
    "w_min": "real",
    "w_max": "real",
}

Array = npt.NDArray[np.float64]


def constants(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the rule's constants, times in steps, the integrals of m and b in those of ms."""
    p = parameters
    tau_n = p["tau_n"] if p["modulator"] else np.asarray(np.inf)
    rate = 1.0 / p["tau_c"] + 1.0 / tau_n
    return {
        "tau_plus": p["tau_plus"] / dt,
        "tau_minus": p["tau_minus"] / dt,
        "tau_c": p["tau_c"] / dt,
        "tau_n": tau_n / dt,
        "rate": rate * dt,
        "of_m": 1.0 / rate,
        "of_b": p["b"] * p["tau_c"],
        "up": p["A_plus"],
        "down": p["A_minus"],
        "jump": 1.0 / tau_n,
        "w_min": p["w_min"],
        "w_max": p["w_max"],
    }


source_spike = target_spike = counted


@inline
def modulator_spike(m, tau_x, tau_y, tau_c, tau_n, rate, of_m, of_b, up, down, jump, w_min, w_max):
    """Return the modulator after a spike of one of its neurons."""
    return (m + jump,)


@inline
def between(
    w, c, steps, m, tau_x, tau_y, tau_c, tau_n, rate, of_m, of_b, up, down, jump, w_min, w_max
):
    """Return weight and eligibility after an interval without events; m is that at its start."""
    gone = -expm1(-np.float64(steps) / tau_c)
    gained = c * (of_m * m * -expm1(-np.float64(steps) * rate) - of_b * gone)
    return bounded(type(w)(w + gained), w_min, w_max), type(c)(c - c * gone)


@inline
def on_post(
    w, c, x, y, m, tau_x, tau_y, tau_c, tau_n, rate, of_m, of_b, up, down, jump, w_min, w_max
):
    """Return weight and eligibility after a spike of the target."""
    return w, c + up * x


@inline
def on_pre(
    w, c, x, y, m, tau_x, tau_y, tau_c, tau_n, rate, of_m, of_b, up, down, jump, w_min, w_max
):
    """Return weight and eligibility after a spike of the source."""
    return w, c - down * y
