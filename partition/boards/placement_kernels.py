"""Kernels that swap cores between nodes to reduce rate × hops, which they update exactly.

Hops can be replaced by any other cost of a packet between two nodes, such as its energy.

Axes: s sources (slices), c logical cores, n nodes, m physical cores, h chips.
"""

import numpy as np

from distsnn.jit import inline, kernel


@kernel
def fill_hops(neighbour, out):
    """Fill ``out[n, n]`` (int16) with the hops between nodes, -1 without a path."""
    size, ports = neighbour.shape
    queue = np.empty(size, np.int64)
    for start in range(size):
        row = out[start]
        row[:] = -1
        row[start] = 0
        queue[0], head, tail = start, 0, 1
        while head < tail:
            node = queue[head]
            head += 1
            for port in range(ports):
                target = neighbour[node, port]
                if target >= 0 and row[target] < 0:
                    row[target] = row[node] + 1
                    queue[tail] = target
                    tail += 1


@inline
def _packets_for_cores(packets_for, count):
    """Return the packets per spike to `count` cores of a node; `count` without `packets_for`."""
    if packets_for.size == 0:
        return count
    return packets_for[np.int64(count)]


@kernel
def _move_core(
    core,
    new_node,
    packets_for,
    hops,
    spikes,
    in_start,
    in_source,
    in_fraction,
    slice_start,
    slices_by_core,
    node_of_core,
    node_of,
    count,
):
    """Move a core to a node; return the change of rate × hops, as `packets_for` counts packets."""
    old_node = node_of_core[core]
    change = 0.0
    for k in range(in_start[core], in_start[core + 1]):
        s = in_source[k]
        previous = count[s, old_node]
        count[s, old_node] = previous - in_fraction[k]
        removed = _packets_for_cores(packets_for, previous) - _packets_for_cores(
            packets_for, count[s, old_node]
        )
        change -= spikes[s] * removed * hops[node_of[s], old_node]
    for k in range(slice_start[core], slice_start[core + 1]):
        s = slices_by_core[k]
        node_of[s] = new_node
        grown = 0.0
        for n in range(hops.shape[0]):
            if count[s, n] > 0:
                grown += _packets_for_cores(packets_for, count[s, n]) * (
                    hops[new_node, n] - hops[old_node, n]
                )
        change += spikes[s] * grown
    for k in range(in_start[core], in_start[core + 1]):
        s = in_source[k]
        previous = count[s, new_node]
        count[s, new_node] = previous + in_fraction[k]
        added = _packets_for_cores(packets_for, count[s, new_node]) - _packets_for_cores(
            packets_for, previous
        )
        change += spikes[s] * added * hops[node_of[s], new_node]
    node_of_core[core] = new_node
    return change


@inline
def _next_random(state):
    # splitmix64
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@inline
def _random_below(state, limit):
    return np.int64(_next_random(state) % np.uint64(limit))


@kernel
def swap_cores(
    trials,
    seed,
    packets_for,
    hops,
    spikes,
    in_start,
    in_source,
    in_fraction,
    slice_start,
    slices_by_core,
    physical_core,
    occupant,
    node_of_physical_core,
    memory,
    free_memory,
    node_of,
    count,
    chip_of,
    cores_on_chip,
    chip_cost,
):
    """Swap cores, or move them to free physical cores; return the change of rate × hops.

    Of `trials` random swaps, improvements are accepted, and others with a probability that falls
    to 0 over the first three quarters of the trials.

    A spike with k target cores on a node counts ``packets_for[k]`` packets; if `packets_for` is
    empty, one packet per target core, times the fraction `in_fraction` of the slice's spikes. A
    chip in use costs `chip_cost`: `chip_of` [n] is the chip of each node, `cores_on_chip` [h] the
    number of used cores of each chip.

    The kernel updates `physical_core` [c], `occupant` [m], `free_memory` [n], `node_of` [s],
    `count` [s, n] (target cores of source s on node n, or their fractions) and `cores_on_chip`.
    """
    n_cores, n_physical_cores = physical_core.size, occupant.size
    state = np.empty(1, np.uint64)
    state[0] = seed
    node_of_core = np.empty(n_cores, np.int64)
    for core in range(n_cores):
        node_of_core[core] = node_of_physical_core[physical_core[core]]
    total, sum_of_increases, n_increases = 0.0, 0.0, 0
    for trial in range(trials):
        core = _random_below(state, n_cores)
        new_core = _random_below(state, n_physical_cores)
        swapped = occupant[new_core]
        old_core = physical_core[core]
        a, b = node_of_physical_core[old_core], node_of_physical_core[new_core]
        if a == b or hops[a, b] < 0:
            continue
        swapped_memory = memory[swapped] if swapped >= 0 else 0.0
        if (
            memory[core] - swapped_memory > free_memory[b]
            or swapped_memory - memory[core] > free_memory[a]
        ):
            continue
        change = _move_core(
            *(core, b, packets_for, hops, spikes, in_start, in_source, in_fraction),
            *(slice_start, slices_by_core, node_of_core, node_of, count),
        )
        if swapped >= 0:
            change += _move_core(
                *(swapped, a, packets_for, hops, spikes, in_start, in_source, in_fraction),
                *(slice_start, slices_by_core, node_of_core, node_of, count),
            )
        packet_change = change
        if swapped < 0 and chip_of[a] != chip_of[b]:
            change += chip_cost * (
                (cores_on_chip[chip_of[b]] == 0) - (cores_on_chip[chip_of[a]] == 1)
            )
        if change > 0.0:
            # the cost of a chip would hide the typical differences between paths
            sum_of_increases += max(packet_change, 0.0)
            n_increases += 1
            # threshold accepting: as good as annealing, and it needs no logarithm
            time = max(0.0, 1.0 - trial / (0.75 * trials))
            limit = 0.4 * time * time * sum_of_increases / n_increases
            chance = np.float64(_next_random(state) >> np.uint64(11)) * 2.0**-53
            if change > limit * chance:
                if swapped >= 0:
                    _move_core(
                        *(swapped, b, packets_for, hops, spikes, in_start, in_source, in_fraction),
                        *(slice_start, slices_by_core, node_of_core, node_of, count),
                    )
                _move_core(
                    *(core, a, packets_for, hops, spikes, in_start, in_source, in_fraction),
                    *(slice_start, slices_by_core, node_of_core, node_of, count),
                )
                continue
        total += change
        free_memory[a] += memory[core] - swapped_memory
        free_memory[b] -= memory[core] - swapped_memory
        physical_core[core], occupant[new_core], occupant[old_core] = new_core, core, swapped
        if swapped >= 0:
            physical_core[swapped] = old_core
        else:
            cores_on_chip[chip_of[a]] -= 1
            cores_on_chip[chip_of[b]] += 1
    return total
