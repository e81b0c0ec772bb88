"""What ranks should have counted in a run: from the wiring, decoded, and the recorded spikes."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import decoded
import numpy as np
from decoded import DELAY, SOURCE, TARGET

from distsnn.comm import exchange_entries as entries
from distsnn.io.reader import StoreReader
from distsnn.network import Network, RecordWeights
from distsnn.network.blocks import make_blocks


@cache
def _network(path: Path) -> Network:
    return Network.from_dict(*StoreReader(path).network())


@cache
def _synapses(path: Path) -> np.ndarray:
    """Return the synapses of a run: those that learn are where others of their rule would be."""
    network = _network(path)
    plain = [
        one if one.plasticity_rule is None else replace(one, synapse=None)
        for one in network.projections
    ]
    # recordings of weights, and what scales them, would ask for synapses that learn
    static = Network(network.populations, plain, network.stimuli, dt=network.dt)
    return decoded.synapses(static, seed=StoreReader(path).metadata["seed"])


def is_told(path: Path) -> bool:
    """Whether all spikes of a run are recorded."""
    reader = StoreReader(path)
    return all(reader.recorded(one.name).all() for one in _network(path).populations)


def expected(reference: Path, path: Path) -> list[dict]:
    """Return what each rank of a run in one attempt and piece should have counted.

    `reference` is a run of the same network, of which synapses are decoded once.
    """
    reader, owner, ranks = StoreReader(path), _owner(reference, path), _ranks(path)
    step, gid = reader.spikes()
    spikes = np.bincount(gid, minlength=owner.size)
    epoch = reader.metadata["settings"]["epoch_steps"]
    sent = np.zeros((-(-reader.complete_step // epoch), ranks), np.int64)
    np.add.at(sent, ((step - 1) // epoch, owner[gid]), 1)
    exchanges = {"exchanges": len(sent), "received_bytes": received(sent, 1 + epoch)}
    if _ends_epochs(_network(reference)):
        exchanges = {}
    return [
        {
            "steps": reader.complete_step,
            "epoch_steps": epoch,
            "neurons": np.count_nonzero(owner == rank),
            "spikes": spikes[owner == rank].sum(),
            "received_spikes": spikes[owner != rank].sum(),
            **exchanges,
            **connected,
        }
        for rank, connected in enumerate(connections(reference, path))
    ]


def connections(reference: Path, path: Path) -> list[dict]:
    """Return what each rank should have counted of its synapses, and of spikes that they took."""
    synapses, owner, ranks = _synapses(reference), _owner(reference, path), _ranks(path)
    _, gid = StoreReader(path).spikes()
    spikes = np.bincount(gid, minlength=owner.size)
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
                "sources": np.bincount(owner[sources], minlength=ranks).tolist(),
                "synapses": np.bincount(from_rank, minlength=ranks).tolist(),
                "smallest_delay": np.where(smallest < 2**40, smallest, 0).tolist(),
                "spikes_from_rank": np.bincount(
                    owner[remote], spikes[remote], minlength=ranks
                ).tolist(),
            }
        )
    return found


def _ends_epochs(network: Network) -> bool:
    """Whether weights are recorded or scaled while a network runs, between epochs cut short."""
    records = any(isinstance(one, RecordWeights) for one in network.recordings)
    return records or bool(network.homeostasis)


def _owner(reference: Path, path: Path) -> np.ndarray:
    """Return the rank of each neuron in a run's last attempt."""
    owner = StoreReader(path).attempts[-1].assignment["owner"]
    return np.repeat(owner, make_blocks(_network(reference)).size)


def _ranks(path: Path) -> int:
    return len(StoreReader(path).attempts[-1].ranks)


def received(sent: np.ndarray, header: int) -> int:
    """Return the bytes that a rank receives, as the fixed part of messages grows and shrinks."""
    ranks = sent.shape[1]
    least = 1 << (max(entries.FIRST_STRIDE, 2 * header) - 1).bit_length()
    limit, stride = max(least, entries.STRIDE_CAP), least
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
