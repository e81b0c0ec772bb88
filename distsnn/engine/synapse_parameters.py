"""Parameters of a plastic projection, as its rule's kernel module takes them."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.codegen.plasticity import RuleKernel, initial_states
from distsnn.counter_rng import SYNAPSE
from distsnn.engine.layout import Layout
from distsnn.engine.plastic_rows import PlasticRows
from distsnn.kernels import wiring_draws
from distsnn.kernels.values import draw_by_synapse
from distsnn.network import AllToAll, Explicit, OneToOne, distribution_code
from distsnn.network.distributions import Distribution

Floats = npt.NDArray[np.float64]

# Draws belong to a parameter's place among the fields. That of w_min is far from all others, which
# so have the draws that they had before there was one.
_PLACE_OF_W_MIN = 1 << 16
# Draws of later steps have places beyond.
_PLACE_BITS = 17
# Kept as magnitudes.
BOUNDS = ("w_min", "w_max")


def synapse_parameters(layout: Layout, rows: PlasticRows, seed: int) -> dict[str, Any]:
    """Return the fields of a projection's model by name.

    Parameters
    ----------
    layout : Layout
        The rank's neurons.
    rows : PlasticRows
        Its synapses.
    seed : int
        The run's seed.

    Returns
    -------
    dict of str to ndarray of float64, shape () or (n_synapses,), or str
        Drawn parameters belong to seed, source and target, given ones are those of the synapses;
        the bounds are magnitudes.
    """
    model = layout.network.projections[rows.projection].plasticity_rule
    assert model is not None
    found: dict[str, Any] = {}
    for one in fields(model):
        value = getattr(model, one.name)
        if isinstance(value, Distribution):
            found[one.name] = drawn(layout, rows, one.name, value, seed)
        elif isinstance(value, np.ndarray):
            found[one.name] = _given(layout, rows, value)
        else:
            found[one.name] = value if isinstance(value, str) else np.asarray(value, np.float64)
    return found | {name: np.abs(found[name]) for name in BOUNDS}


def drawn(
    layout: Layout, rows: PlasticRows, name: str, value: Distribution, seed: int, step: int = 0
) -> Floats:
    """Return draws of a parameter for each of a rank's synapses, shape (n_synapses,).

    They belong to seed, source, target, parameter and step; at step 0 they are those of the
    description.
    """
    projections = layout.network.projections
    others = [one.name for one in fields(projections[rows.projection].plasticity_rule)]  # type: ignore[arg-type]
    others.remove("w_min")
    place = others.index(name) if name in others else _PLACE_OF_W_MIN
    keys = wiring_draws.object_keys(np.uint64(seed), SYNAPSE, len(projections))
    at = np.array([place + (step << _PLACE_BITS)])
    key = wiring_draws.cell_streams(keys[rows.projection], at)[0]
    kind, parameters = distribution_code(value)
    row_set, out = rows.row_set, np.empty(rows.synapses)
    gids = layout.gids(np.arange(layout.n_local))
    draw_by_synapse(
        kind, *parameters, key, row_set.rows, row_set.sources, rows.targets(), gids, out
    )
    return out


def first_states(
    rule: RuleKernel, constants: Mapping[str, Floats], n: int, precision: str
) -> dict[str, npt.NDArray[Any]]:
    """Return the states of n synapses at the start, given the rule's constants."""
    begin = initial_states(rule)
    return {
        name: np.full(n, constants.get(begin.get(name, ""), 0.0), precision) for name in rule.STATES
    }


def _given(layout: Layout, rows: PlasticRows, value: Floats) -> Floats:
    """Return what an array holds for each of a rank's synapses."""
    one = layout.network.projections[rows.projection]
    first = layout.network.first_gid
    sources = rows.row_set.source_of_synapse - (first[one.pre.population] + one.pre.start)
    if isinstance(one.rule, OneToOne):
        return value[sources]
    targets = layout.gids(rows.targets()) - (first[one.post.population] + one.post.start)
    if isinstance(one.rule, AllToAll):
        return value[sources, targets]
    assert isinstance(one.rule, Explicit)
    # several edges of a pair are in the order in which they were given
    index = layout.population_index(one.post.population)
    mine = np.flatnonzero(layout.local(index, one.post.start + one.rule.targets) >= 0)
    edges = mine[np.lexsort((one.rule.targets[mine], one.rule.sources[mine]))]
    found = np.empty(sources.size)
    found[np.lexsort((targets, sources))] = value[edges]
    return found
