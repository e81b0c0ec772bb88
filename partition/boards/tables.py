"""Routing tables: entries of keys and masks, merged, without default-routed packets."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.partition.boards.core_targets import Ints
from distsnn.partition.boards.geometry import Machine
from distsnn.partition.boards.keys import Keys
from distsnn.partition.boards.routes import Routes
from distsnn.partition.boards.table_kernels import merge_entries

# Rank of a mask of 0, which matches all keys: above the lowest bit of every other mask.
_ALL_KEYS = 1 << 32


@dataclass(frozen=True, eq=False)
class Tables:
    """Routing tables of all nodes; the first matching entry of a table decides.

    Parameters
    ----------
    start : ndarray of int64, shape (n_nodes + 1,)
        The entries of node i are ``start[i]`` to ``start[i + 1]``, exclusive.
    key, mask : ndarray of int64, shape (n_entries,)
        An entry matches k if ``k & mask == key``.
    links : ndarray of int64, shape (n_entries,)
        Bit p: packets leave through port p.
    cores : ndarray of uint64, shape (n_entries, n_words)
        Bit c of the words: packets are delivered to core c.
    """

    start: Ints
    key: Ints
    mask: Ints
    links: Ints
    cores: npt.NDArray[np.uint64]

    @property
    def sizes(self) -> Ints:
        """Number of entries of each node."""
        return np.diff(self.start)


def uncompressed_tables(routes: Routes, keys: Keys, n_nodes: int) -> Tables:
    """Return routing tables with an entry for each slice whose packets visit the node."""
    order = np.argsort(routes.node, kind="stable")
    source = routes.source[order]
    start = np.searchsorted(routes.node[order], np.arange(n_nodes + 1)).astype(np.int64)
    return Tables(
        start, keys.key[source], keys.mask[source], routes.links[order], routes.cores[order]
    )


def compress_tables(routes: Routes, keys: Keys, machine: Machine, *, default: bool) -> Tables:
    """Return routing tables with merged entries.

    Parameters
    ----------
    routes : Routes
        Routes of the slices' packets.
    keys : Keys
        Keys of the slices.
    machine : Machine
        The machine.
    default : bool
        Whether routers send unmatched packets along the default route.
    """
    targets_of_entry = np.column_stack([routes.links.astype(np.uint64), routes.cores])
    order = np.argsort(routes.node, kind="stable")
    bounds = np.searchsorted(routes.node[order], np.arange(machine.n_nodes + 1))
    is_default = routes.is_default_routed(machine) if default else np.zeros(order.size, bool)
    tables_of_nodes: list[tuple[Ints, Ints, npt.NDArray[np.uint64]]] = []
    for node in range(machine.n_nodes):
        entries = order[bounds[node] : bounds[node + 1]]
        key, mask = keys.key[routes.source[entries]], keys.mask[routes.source[entries]]
        candidates = [
            _merge_table(key, mask, targets_of_entry[entries], np.zeros(entries.size, bool))
        ]
        if is_default[entries].any():
            candidates.append(
                _merge_table(key, mask, targets_of_entry[entries], is_default[entries])
            )
        tables_of_nodes.append(min(candidates, key=lambda table: table[0].size))
    start = np.cumsum([0, *(table[0].size for table in tables_of_nodes)], dtype=np.int64)
    targets = np.concatenate([table[2] for table in tables_of_nodes])
    return Tables(
        start,
        np.concatenate([table[0] for table in tables_of_nodes]),
        np.concatenate([table[1] for table in tables_of_nodes]),
        targets[:, 0].astype(np.int64),
        targets[:, 1:],
    )


def _merge_table(
    key: Ints,
    mask: Ints,
    targets_of_entry: npt.NDArray[np.uint64],
    is_default: npt.NDArray[np.bool_],
) -> tuple[Ints, Ints, npt.NDArray[np.uint64]]:
    """Merge the entries of a table; no merged entry matches a default-routed packet."""
    entries = np.flatnonzero(~is_default)
    if entries.size == 0:
        return key[:0], mask[:0], targets_of_entry[:0]
    route_targets, route = np.unique(targets_of_entry[entries], axis=0, return_inverse=True)
    route = route.reshape(-1)
    sizes = np.bincount(route)
    route_order = np.empty(sizes.size, np.int64)
    route_order[np.argsort(sizes, kind="stable")] = np.arange(sizes.size)
    order = entries[np.lexsort((key[entries], route_order[route]))]
    bound = np.concatenate(([0], np.cumsum(np.sort(sizes, kind="stable")))).astype(np.int64)
    original = key[order], mask[order]
    new_key, new_mask = original[0].copy(), original[1].copy()
    n_remaining = merge_entries(
        new_key, new_mask, bound, original, key[is_default], mask[is_default]
    )
    index = np.concatenate(
        [np.arange(a, a + n) for a, n in zip(bound[:-1], n_remaining, strict=True)]
    )
    # a merged entry may match a part of another block of its route: larger blocks come first
    low = new_mask[index] & -new_mask[index]
    low[low == 0] = _ALL_KEYS
    index = index[np.lexsort((-low, np.repeat(np.arange(n_remaining.size), n_remaining)))]
    targets = route_targets[np.argsort(sizes, kind="stable")].repeat(n_remaining, axis=0)
    return new_key[index], new_mask[index], targets
