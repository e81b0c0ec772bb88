"""Populations that reach themselves and some others at random: how networks are mapped, not run."""

import numpy as np

from distsnn.network import FixedIndegree, IafPscExp, Network, Population, Projection


def build(
    populations: int = 1, neurons: int = 1_000_000, others: int = 0, indegree: int = 100
) -> Network:
    """Return the network.

    Parameters
    ----------
    populations : int
        Number of populations.
    neurons : int
        Neurons of all of them.
    others : int
        How many others each reaches beside itself.
    indegree : int
        Synapses of a neuron from each population that reaches it.
    """
    draw = np.random.default_rng(1)
    cells = [Population(f"p{at}", neurons // populations, IafPscExp()) for at in range(populations)]
    made = []
    for at, one in enumerate(cells):
        to = draw.choice(np.delete(np.arange(populations), at), others, replace=False)
        for post in (at, *to.tolist()):
            made.append(Projection(one, cells[post], FixedIndegree(indegree), 1.0, 1.0))
    return Network(cells, made)
