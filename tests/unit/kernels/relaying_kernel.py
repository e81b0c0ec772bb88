"""A kernel for tests, without a state: it emits as many spikes as come in."""

from distsnn.jit import inline

STATES = ()
RECEPTORS = ("in",)
CONSTANTS = {"one": "real"}
RELAY = True


def propagators(parameters, dt):
    return dict(parameters)


@inline
def step(given, current, one):
    return (given,)
