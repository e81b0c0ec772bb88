"""The calls of spike sources, and spikes that a script adds between two run calls."""

import numpy as np
import numpy.typing as npt

from distsnn.engine.kernel_calls import KernelCall
from distsnn.engine.layout import LocalLayout
from distsnn.kernels import emission
from distsnn.network import Population, SpikeSource
from distsnn.network.checks import steps_array

Integers = npt.NDArray[np.integer]


def source_call(layout: LocalLayout, population: Population, index: int) -> KernelCall:
    """Return the update call of a population of spike sources, the `index`-th of the network."""
    model = population.model
    assert isinstance(model, SpikeSource)
    call = KernelCall(
        emission.spike_source,
        np.zeros(emission.SOURCE_TABLE_SIZE, np.int64),
        int(layout.first[index]),
        int(layout.last[index]),
    )
    call.bind(emission.EVENT_STEPS, np.empty(0, np.int64))
    call.bind(emission.EVENT_GIDS, np.empty(0, np.uint32))
    steps = steps_array(model.times, layout.network.dt, where=population.name)
    emit(call, layout, index, steps, model.neurons)
    return call


def emit(
    call: KernelCall, layout: LocalLayout, index: int, step: Integers, neurons: Integers
) -> None:
    """Let a population's call emit further spikes.

    Parameters
    ----------
    call : KernelCall
        From `source_call`.
    layout : LocalLayout
        The rank's neurons.
    index : int
        The population.
    step : ndarray of int, shape (n,)
        Steps of the spikes, after the engine's step.
    neurons : ndarray of int, shape (n,)
        Index within the population; neurons of other ranks are ignored. None may spike twice in a
        step.
    """
    is_local = layout.to_local(index, neurons) >= 0
    first_gid = [*layout.network.first_gid.values()][index]
    position = int(call.table[emission.POSITION])
    # iteration s - 1 emits a spike of step s
    iterations = np.concatenate(
        [call.referenced_arrays[emission.EVENT_STEPS][position:], step[is_local] - 1]
    )
    gids = np.concatenate(
        [call.referenced_arrays[emission.EVENT_GIDS][position:], first_gid + neurons[is_local]]
    )
    order = np.lexsort((gids, iterations))
    call.bind(emission.EVENT_STEPS, iterations[order].astype(np.int64))
    call.bind(emission.EVENT_GIDS, gids[order].astype(np.uint32))
    call.table[emission.N_EVENTS], call.table[emission.POSITION] = order.size, 0
