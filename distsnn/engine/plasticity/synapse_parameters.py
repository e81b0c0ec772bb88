"""Parameters of a plastic projection, as its rule's kernel module takes them."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.codegen.plasticity import RuleKernel, initial_states
from distsnn.counter_rng import SYNAPSE
from distsnn.engine.layout import LocalLayout
from distsnn.engine.plasticity.rows import PlasticRows
from distsnn.kernels import wiring_draws
from distsnn.kernels.values import draw_by_synapse
from distsnn.network import AllToAll, ConnectionList, OneToOne, distribution_code
from distsnn.network.distributions import Distribution

Floats = npt.NDArray[np.float64]

# Draws depend on a parameter's place among the fields. The place of w_min is far from all others,
# so that the draws of the other parameters do not depend on whether a rule has w_min.
_PLACE_OF_W_MIN = 1 << 16
# Draws of later steps have larger places.
_PLACE_BITS = 17
# Kept as magnitudes.
BOUNDS = ("w_min", "w_max")


def synapse_parameters(layout: LocalLayout, rows: PlasticRows, seed: int) -> dict[str, Any]:
    """Return the fields of a projection's model by name.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    rows : PlasticRows
        Its synapses.
    seed : int
        The run's seed.

    Returns
    -------
    dict of str to ndarray of float64, shape () or (n_synapses,), or str
        Drawn parameters depend on seed, source and target; listed parameters have one value per
        synapse. The bounds are magnitudes.
    """
    model = layout.network.projections[rows.projection].plasticity_rule
    assert model is not None
    parameters: dict[str, Any] = {}
    for field in fields(model):
        value = getattr(model, field.name)
        if isinstance(value, Distribution):
            parameters[field.name] = drawn(layout, rows, field.name, value, seed)
        elif isinstance(value, np.ndarray):
            parameters[field.name] = _given(layout, rows, value)
        else:
            is_text = isinstance(value, str)
            parameters[field.name] = value if is_text else np.asarray(value, np.float64)
    return parameters | {name: np.abs(parameters[name]) for name in BOUNDS}


def drawn(
    layout: LocalLayout, rows: PlasticRows, name: str, value: Distribution, seed: int, step: int = 0
) -> Floats:
    """Return draws of a parameter for each of a rank's synapses, shape (n_synapses,).

    The draws depend on seed, source, target, parameter and step; at step 0 they equal the draws of
    the description.
    """
    projections = layout.network.projections
    rule = projections[rows.projection].plasticity_rule
    names = [field.name for field in fields(rule)]  # type: ignore[arg-type]
    names.remove("w_min")
    place = names.index(name) if name in names else _PLACE_OF_W_MIN
    keys = wiring_draws.object_keys(np.uint64(seed), SYNAPSE, len(projections))
    draw_index = np.array([place + (step << _PLACE_BITS)])
    key = wiring_draws.cell_streams(keys[rows.projection], draw_index)[0]
    kind, parameters = distribution_code(value)
    row_set, out = rows.row_set, np.empty(rows.synapses)
    gids = layout.to_gids(np.arange(layout.n_local))
    draw_by_synapse(
        kind, *parameters, key, row_set.row_starts, row_set.sources, rows.targets(), gids, out
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


def _given(layout: LocalLayout, rows: PlasticRows, value: Floats) -> Floats:
    """Return the value of an array for each of a rank's synapses."""
    network, projection = layout.network, layout.network.projections[rows.projection]
    post, rule = projection.post, projection.rule
    sources = network.positions(projection.pre, rows.row_set.source_of_synapse)
    if isinstance(rule, OneToOne):
        return value[sources]
    targets = network.positions(post, layout.to_gids(rows.targets()))
    if isinstance(rule, AllToAll):
        return value[sources, targets]
    assert isinstance(rule, ConnectionList)
    # several edges of a pair are in the order in which they were given
    index = layout.population_index(post.population)
    local_edges = np.flatnonzero(layout.to_local(index, post.neurons_at(rule.targets)) >= 0)
    by_source = np.lexsort((rule.targets[local_edges], rule.sources[local_edges]))
    by_row = np.empty(sources.size)
    by_row[np.lexsort((targets, sources))] = value[local_edges[by_source]]
    return by_row
