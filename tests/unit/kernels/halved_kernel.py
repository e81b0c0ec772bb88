"""A kernel for tests: x falls by half in each part of a step; it spikes, and is 8, below 1."""

from distsnn.jit import inline

STATES = ("x",)
RECEPTORS = ("in",)
CONSTANTS = {"substeps": "count", "half": "real", "one": "real", "eight": "real"}


def propagators(parameters, dt):
    return {"half": 0.5 + 0.0 * parameters["one"], "eight": 8.0 * parameters["one"], **parameters}


@inline
def integrate(x, current, substeps, half, one, eight):
    x = half * x + current
    below = x < one
    return (eight if below else x), below


@inline
def step(x, given, current, substeps, half, one, eight):
    return x + given, given > eight
