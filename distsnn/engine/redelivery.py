"""Redelivery: spikes in flight are delivered once more, as after a restart from a checkpoint."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from distsnn.engine.delivery import Delivery, RowSetDelivery, delivery_calls
from distsnn.engine.epoch_loop import EpochLoop
from distsnn.engine.kernel_calls import KernelCall
from distsnn.engine.source_states import occurrences
from distsnn.engine.spikes_in_flight import Spikes
from distsnn.engine.state_fields import Values


def deliver_again(
    epoch_loop: EpochLoop,
    step: int,
    spikes: Spikes,
    deliveries: Sequence[Delivery],
    archives: Iterable[KernelCall],
    factors: Mapping[int, npt.NDArray[np.float64]],
    input_planes: Values,
) -> None:
    """Deliver spikes in flight once more, with the factors with which they were sent.

    The iterations that emitted the spikes are run again without neurons. The input that these
    would have consumed is cleared instead. Pending plastic input is not delivered: it is saved, as
    weights have changed since the spikes. Only pulled rows can be delivered again during a run, as
    their events that are due later are in calendar queues; the caller keeps the other input.

    Parameters
    ----------
    epoch_loop : EpochLoop
        The connected epoch loop; afterwards its next iteration is `step`.
    step : int
        Number of iterations done.
    spikes : (ndarray of int32, ndarray of uint32)
        Spikes of all ranks in (step - maximum delay, step], in the order of (step, gid).
    deliveries : sequence of Delivery
        Deliveries of static synapses.
    archives : iterable of KernelCall
        Calls that add spikes to the histories of plastic targets; they come first.
    factors : mapping of int to ndarray of float64, shape (n_spikes,)
        Factors of the spikes, by projection with a synapse model.
    input_planes : ndarray, shape (n_planes, n_rows, n_local)
        Input of future iterations, which is added to.
    """
    occurrence = occurrences((spikes[0].astype(np.int64) << 32) | spikes[1])
    # a record has the factor of one spike: several spikes of a source in a step take turns
    order = np.lexsort((occurrence, spikes[0]))
    steps, gids, occurrence = spikes[0][order], spikes[1][order], occurrence[order]
    scaled = [
        (delivery, delivery.states.rows_of(gids), factors[delivery.states.parameters.index][order])
        for delivery in deliveries
        if isinstance(delivery, RowSetDelivery) and delivery.states is not None
    ]
    for delivery, *_ in scaled:
        delivery.use_given_factors(True)
    starts = np.flatnonzero(np.diff(steps, prepend=-1) | np.diff(occurrence, prepend=-1))
    batches = [*pairwise([*starts.tolist(), steps.size])][::-1]
    with epoch_loop.only_delivering(*delivery_calls(deliveries, archives)):
        for iteration in range(int(steps[0]) - 1 if steps.size else step, step):
            epoch_loop.collect(iteration)
            input_planes[:, iteration & (input_planes.shape[1] - 1)] = 0
            while batches and steps[batches[-1][0]] == iteration + 1:
                start, stop = batches.pop()
                for delivery, rows, values in scaled:
                    delivery.give_factors(rows[start:stop], values[start:stop])
                epoch_loop.deliver(gids[start:stop], iteration)
    for delivery, *_ in scaled:
        delivery.use_given_factors(False)
    epoch_loop.set_iteration(step, stop=step)
