"""Voltage-based plasticity (Clopath et al. 2010): the target's potential acts, not its spikes.

    every step: w + A_LTP x dt/tau_x [V - theta_plus] [u_bar_plus - theta_minus]
    pre: w - A_LTD g [u_bar_minus - theta_minus]

with [y] = max(y, 0), u_bar_plus and u_bar_minus as they were some steps before, and g = 1 or
u_bar_bar²/u_ref_squared. x counts the spikes of the source and decays with tau_x.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import bounded
from distsnn.kernels.plasticity.traces import counted

SOURCE = ("x",)
TARGET = ()
STATES = ()
WATCHED = ("V_m", "u_bar_plus", "u_bar_minus", "u_bar_bar")
LATE = ("u_bar_plus", "u_bar_minus")
DECAYS = {"x": "tau_x"}
CONSTANTS = {
    "tau_x": "real",
    "theta_plus": "real",
    "theta_minus": "real",
    "fixed": "real",
    "of_bar": "real",
    "up": "real",
    "down": "real",
    "w_min": "real",
    "w_max": "real",
}

Array = npt.NDArray[np.float64]


def constants(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the rule's constants, times in steps."""
    p = parameters
    return {
        "tau_x": p["tau_x"] / dt,
        "theta_plus": p["theta_plus"],
        "theta_minus": p["theta_minus"],
        "fixed": p["A_LTD_const"],
        "of_bar": (1.0 - p["A_LTD_const"]) / p["u_ref_squared"],
        "up": p["A_LTP"] * (dt / p["tau_x"]),
        "down": p["A_LTD"],
        "w_min": p["w_min"],
        "w_max": p["w_max"],
    }


source_spike = counted


@inline
def watch(v, plus, minus, bar, tau_x, theta_plus, theta_minus, fixed, of_bar, *others):
    """Return what potentiates in a step, mV², and how much a spike of the source depresses, mV."""
    above, plus, minus = v - theta_plus, plus - theta_minus, minus - theta_minus
    up = above * plus if (above > 0.0) & (plus > 0.0) else 0.0
    down = minus * (fixed + of_bar * (bar * bar)) if minus > 0.0 else 0.0
    return up, down


@inline
def on_post(w, x, level, tau_x, theta_plus, theta_minus, fixed, of_bar, up, down, w_min, w_max):
    """Return the weight after a step in which the target potentiates."""
    return (bounded(w + up * x * level, w_min, w_max),)


@inline
def on_pre(w, x, level, tau_x, theta_plus, theta_minus, fixed, of_bar, up, down, w_min, w_max):
    """Return the weight after a spike of the source."""
    return (bounded(w - down * level, w_min, w_max),)
