"""STDP at spikes of the target towards a trace (see `network.synapses.diehl_cook_synapse`)."""

from distsnn.jit import inline
from distsnn.kernels.functions import bounded_power

SOURCE, TARGET, STATES = ("x",), (), ()
DECAYS = {"x": "tau_plus"}
CONSTANTS = {
    "tau_plus": "real",
    "learning_rate": "real",
    "x_target": "real",
    "mu": "real",
    "w_max": "real",
}


def constants(parameters, dt):
    """Return the constants."""
    p = parameters
    shares = {name: p[name] for name in ("learning_rate", "x_target", "mu", "w_max")}
    return {"tau_plus": p["tau_plus"] / dt} | shares


@inline
def source_spike(x, tau_plus, learning_rate, x_target, mu, w_max):
    """Return the source's trace after a spike."""
    return (type(x)(1),)


@inline
def target_spike(tau_plus, learning_rate, x_target, mu, w_max):
    """Return no trace: none is kept of targets."""
    return ()


@inline
def on_post(w, x, tau_plus, learning_rate, x_target, mu, w_max):
    """Return the weight after a spike of the target."""
    share = w / w_max
    step = learning_rate * (x - x_target) * bounded_power(type(w)(1) - share, mu)
    return (min(max(share + step, type(w)(0)), type(w)(1)) * w_max,)


@inline
def on_pre(w, x, tau_plus, learning_rate, x_target, mu, w_max):
    """Return the weight after a spike of the source: the same."""
    return (w,)
