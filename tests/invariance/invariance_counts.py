"""What ranks should have counted in a run: from the wiring, decoded, and the recorded spikes."""

from functools import cache
from pathlib import Path

import decoded
import numpy as np
from decoded import DELAY, SOURCE, TARGET

from distsnn.comm import exchange_entries as entries
from distsnn.io.reader import StoreReader
from distsnn.network import Network
from distsnn.network.blocks import blocks


@cache
def _network(path: Path) -> Network:
    return Network.from_dict(*StoreReader(path).network())


@cache
def _synapses(path: Path) -> np.ndarray:
    return decoded.synapses(_network(path), seed=StoreReader(path).metadata["seed"])


def is_told(path: Path) -> bool:
    """Whether all spikes of a run are recorded, and all its synapses can be decoded."""
    reader = StoreReader(path)
    recorded = all(reader.recorded(one.name).all() for one in _network(path).populations)
    return recorded and all(one.plasticity is None for one in _network(path).projections)


def expected(reference: Path, path: Path) -> list[dict]:
    """Return what each rank of a run in one attempt and piece should have counted.

    `reference` is a run of the same network, of which synapses are decoded once.
    """
    reader, synapses = StoreReader(path), _synapses(reference)
    network, (attempt,) = _network(reference), reader.attempts
    ranks, n = len(attempt.ranks), network.n_neurons
    owner = np.repeat(attempt.assignment["owner"], blocks(network).size)
    step, gid = reader.spikes()
    spikes = np.bincount(gid, minlength=n)
    epoch = reader.metadata["settings"]["epoch_steps"]
    sent = np.zeros((-(-reader.complete_step // epoch), ranks), np.int64)
    np.add.at(sent, ((step - 1) // epoch, owner[gid]), 1)
    found = []
    for rank in range(ranks):
        mine = synapses[owner[synapses[:, TARGET]] == rank]
        from_rank = owner[mine[:, SOURCE]]
        sources = np.unique(mine[:, SOURCE])
        smallest = np.full(ranks, 2**40)
        np.minimum.at(smallest, from_rank, mine[:, DELAY])
        remote = sources[owner[sources] != rank]
        found.append(
            {
                "steps": reader.complete_step,
                "epoch_steps": epoch,
                "neurons": np.count_nonzero(owner == rank),
                "spikes": spikes[owner == rank].sum(),
                "exchanges": len(sent),
                "received_spikes": spikes[owner != rank].sum(),
                "received_bytes": received(sent, 1 + epoch),
                "sources": np.bincount(owner[sources], minlength=ranks).tolist(),
                "synapses": np.bincount(from_rank, minlength=ranks).tolist(),
                "smallest_delay": np.where(smallest < 2**40, smallest, 0).tolist(),
                "heard": np.bincount(owner[remote], spikes[remote], minlength=ranks).tolist(),
            }
        )
    return found


def received(sent: np.ndarray, header: int) -> int:
    """Return the bytes that a rank receives, as the fixed part of messages grows and shrinks."""
    ranks = sent.shape[1]
    least = 1 << (max(entries.FIRST_STRIDE, 2 * header) - 1).bit_length()
    limit, stride = max(least, entries.LARGEST_STRIDE), least
    total, peak, left = 0, 0, entries.WINDOW
    for spikes in sent:
        words = header + spikes
        total += 4 * int(ranks * stride + np.maximum(0, words - stride).sum())
        peak, left = max(peak, int(words.max())), left - 1
        while stride < words.max() and stride < limit:
            stride *= 2
        if left == 0:
            stride //= 2 if 2 * peak <= stride and stride > least else 1
            peak, left = 0, entries.WINDOW
    return total
