"""By what the random numbers of a rank's plastic synapses are keyed."""

import numpy as np
import numpy.typing as npt

from distsnn.counter_rng import TRANSMISSION
from distsnn.engine.kernel_calls import KernelCall
from distsnn.engine.layout import LocalLayout
from distsnn.engine.plasticity.rows import PlasticRows
from distsnn.kernels import plastic, wiring_draws
from distsnn.kernels.rule_functions import number_multapses


def key_draws(
    layout: LocalLayout, rows: PlasticRows, seed: int, words: int, call: KernelCall
) -> int:
    """Fill in by what the entries of a projection key random numbers, and return its bytes.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    rows : PlasticRows
        The synapses. Multapses are numbered in the order of drawing.
    seed : int
        The run's seed.
    words : int
        Words of random bits that a spike takes at each synapse.
    call : KernelCall
        Its table is filled in.
    """
    numbers = np.zeros(rows.synapses, np.uint32)
    number_multapses(
        rows.row_set.row_starts, rows.targets(), numbers, np.zeros(layout.n_local, np.int64)
    )
    projections = layout.network.projections
    key = wiring_draws.object_keys(np.uint64(seed), TRANSMISSION, len(projections))
    blocks = np.arange((words + 1) // 2)
    arrays: dict[int, npt.NDArray[np.integer]] = {
        plastic.TARGET_GIDS: layout.to_gids(np.arange(layout.n_local)).astype(np.int64),
        plastic.SOURCE_GIDS: rows.row_set.sources.astype(np.int64),
        plastic.NUMBERS: numbers,
        plastic.DRAW_KEYS: wiring_draws.cell_streams(key[rows.projection], blocks).view(np.uint32),
        # all spikes of a step are delivered before a run can end: no checkpoint needs these
        plastic.REPEATS: np.zeros(rows.row_set.row_starts.size - 1, np.uint32),
    }
    for position, array in arrays.items():
        call.bind(position, array)
    return sum(array.nbytes for array in arrays.values())
