"""A kernel for tests: x is the step's random number; it spikes below p."""

from distsnn.jit import inline

STATES = ("x",)
RECEPTORS = ()
CONSTANTS = {"p": "real"}
DRAWS = ("uniform",)


def propagators(parameters, dt):
    return dict(parameters)


@inline
def step(x, current, u, p):
    return u, u < p
