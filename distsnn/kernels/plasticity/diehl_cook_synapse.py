"""STDP at spikes of the target towards a trace (see `network.synapses.diehl_cook_synapse`)."""

from distsnn.jit import inline
from distsnn.kernels.functions import bounded, bounded_power
from distsnn.kernels.plasticity.traces import latest, unchanged

SOURCE, TARGET, STATES = ("x",), (), ()
DECAYS = {"x": "tau_plus"}
CONSTANTS = {
    "tau_plus": "real",
    "learning_rate": "real",
    "x_target": "real",
    "mu": "real",
    "w_min": "real",
    "w_max": "real",
    "span": "real",
}


def constants(parameters, dt):
    """Return the constants."""
    p = parameters
    given = {name: p[name] for name in ("learning_rate", "x_target", "mu", "w_min", "w_max")}
    return {"tau_plus": p["tau_plus"] / dt, **given, "span": p["w_max"] - p["w_min"]}


source_spike = latest


@inline
def target_spike(tau_plus, learning_rate, x_target, mu, w_min, w_max, span):
    """Return no trace: none is kept of targets."""
    return ()


@inline
def on_post(w, x, tau_plus, learning_rate, x_target, mu, w_min, w_max, span):
    """Return the weight after a spike of the target."""
    share = (w - w_min) / span
    step = learning_rate * (x - x_target) * bounded_power(type(w)(1) - share, mu)
    return (bounded((share + step) * span + w_min, w_min, w_max),)


on_pre = unchanged
