"""Modules with dense, fast synapses inside and sparse, slow ones between them."""

import numpy as np

from distsnn.network import FixedIndegree, IafPscExp, Network, PoissonInput, Population, Projection


def build(
    modules: int = 32, neurons: int = 20_000, inside: int = 100, between: int = 20, seed: int = 0
) -> Network:
    """Return the network.

    Parameters
    ----------
    modules : int
        Number of modules, a population each.
    neurons : int
        Neurons of all modules.
    inside, between : int
        Indegree from the own module (0.1 ms) and from four others, drawn once, or all there are
        (3 ms).
    seed : int
        Of the choice of these.
    """
    draw = np.random.default_rng(seed)
    cells = [Population(f"m{at}", neurons // modules, IafPscExp()) for at in range(modules)]
    made = [Projection(one, one, FixedIndegree(inside), 2.0, 0.1) for one in cells]
    n = min(4, modules - 1)
    for at, one in enumerate(cells):
        others = draw.choice(np.delete(np.arange(modules), at), n, replace=False)
        made += [Projection(cells[o], one, FixedIndegree(between // n), 2.0, 3.0) for o in others]
    inputs = [PoissonInput(one, 6000.0 + 200.0 * at, 60.0) for at, one in enumerate(cells)]
    return Network(cells, made, inputs)


def rates(network: Network, seed: int = 0) -> dict[str, float]:
    """Return lognormal rates of the populations, spikes/s."""
    draw = np.random.default_rng(seed)
    return {one.name: float(draw.lognormal(1.5, 1.0)) for one in network.populations}
