"""Pair-based spike-timing-dependent plasticity (see `network.synapses.stdp_synapse`)."""

import numpy as np

from distsnn.jit import inline
from distsnn.kernels.functions import bounded, bounded_power

SOURCE, TARGET, STATES = ("x",), ("y",), ()
DECAYS = {"x": "tau_plus", "y": "tau_minus"}
CONSTANTS = {
    "tau_plus": "real",
    "tau_minus": "real",
    "up": "real",
    "down": "real",
    "mu_plus": "real",
    "mu_minus": "real",
    "w_min": "real",
    "w_max": "real",
    "span": "real",
    "kept": "real",  # of a trace at the next spike: 1, or 0 where only the nearest counts
}


def constants(parameters, dt):
    """Return the constants."""
    p = parameters
    span = p["w_max"] - p["w_min"]
    return {
        "tau_plus": p["tau_plus"] / dt,
        "tau_minus": p["tau_minus"] / dt,
        "up": p["learning_rate"] * span,
        "down": p["learning_rate"] * p["alpha"] * span,
        "mu_plus": p["mu_plus"],
        "mu_minus": p["mu_minus"],
        "w_min": p["w_min"],
        "w_max": p["w_max"],
        "span": span,
        "kept": np.asarray(1.0 if p["pairing"] == "all_to_all" else 0.0),
    }


@inline
def source_spike(x, tau_plus, tau_minus, up, down, mu_plus, mu_minus, w_min, w_max, span, kept):
    """Return the source's trace after a spike."""
    return (x * kept + type(x)(1),)


@inline
def target_spike(y, tau_plus, tau_minus, up, down, mu_plus, mu_minus, w_min, w_max, span, kept):
    """Return the target's trace after a spike."""
    return (y * kept + type(y)(1),)


@inline
def on_post(w, x, y, tau_plus, tau_minus, up, down, mu_plus, mu_minus, w_min, w_max, span, kept):
    """Return the weight after a spike of the target."""
    left = type(w)(1) - (w - w_min) / span
    return (bounded(w + up * bounded_power(left, mu_plus) * x, w_min, w_max),)


@inline
def on_pre(w, x, y, tau_plus, tau_minus, up, down, mu_plus, mu_minus, w_min, w_max, span, kept):
    """Return the weight after a spike of the source."""
    share = (w - w_min) / span
    return (bounded(w - down * bounded_power(share, mu_minus) * y, w_min, w_max),)
