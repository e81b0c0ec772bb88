"""Moving cores between nodes as long as that costs less: rate × hops, kept up to date exactly.

In place of hops there may be any other cost of a packet between two nodes, such as its energy.

Axes: s sources (slices), c cores, n nodes, m places (cores of the machine), h chips.
"""

import numpy as np

from distsnn.jit import inline, kernel


@kernel
def distances(neighbour, out):
    """Fill ``out[n, n]`` (int16) with hops between nodes, -1 where there is no way."""
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
                there = neighbour[node, port]
                if there >= 0 and row[there] < 0:
                    row[there] = row[node] + 1
                    queue[tail] = there
                    tail += 1


@inline
def _worth(worth, count):
    """Return the packets that `count` cores of a node take of a spike; all, if `worth` is empty."""
    if worth.size == 0:
        return count
    return worth[np.int64(count)]


@kernel
def _move(
    core,
    to,
    worth,
    hops,
    spikes,
    in_start,
    in_source,
    in_part,
    own_start,
    own,
    node_of_core,
    node_of,
    count,
):
    """Move a core to a node; return by how much rate × hops grows, as `worth` counts it."""
    at = node_of_core[core]
    change = 0.0
    for k in range(in_start[core], in_start[core + 1]):
        s = in_source[k]
        had = count[s, at]
        count[s, at] = had - in_part[k]
        fewer = _worth(worth, had) - _worth(worth, count[s, at])
        change -= spikes[s] * fewer * hops[node_of[s], at]
    for k in range(own_start[core], own_start[core + 1]):
        s = own[k]
        node_of[s] = to
        grown = 0.0
        for n in range(hops.shape[0]):
            if count[s, n] > 0:
                grown += _worth(worth, count[s, n]) * (hops[to, n] - hops[at, n])
        change += spikes[s] * grown
    for k in range(in_start[core], in_start[core + 1]):
        s = in_source[k]
        had = count[s, to]
        count[s, to] = had + in_part[k]
        more = _worth(worth, count[s, to]) - _worth(worth, had)
        change += spikes[s] * more * hops[node_of[s], to]
    node_of_core[core] = to
    return change


@inline
def _next(state):
    # splitmix64
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@inline
def _below(state, limit):
    return np.int64(_next(state) % np.uint64(limit))


@kernel
def anneal(
    trials,
    seed,
    worth,
    hops,
    spikes,
    in_start,
    in_source,
    in_part,
    own_start,
    own,
    place,
    occupant,
    node_of_place,
    memory,
    room,
    node_of,
    count,
    chip_of,
    held,
    idle,
):
    """Swap cores, or move them to free places, `trials` times; return the change of rate × hops.

    A worse place is taken with a chance that falls as time goes on; of the last quarter of trials
    only improvements are taken. Of a spike that reaches k cores of a node, ``worth[k]`` packets are
    reckoned to go there; if `worth` is empty, one to each core of the part `in_part` of its spikes
    (else 1). A chip in use costs `idle`: `chip_of` [n] is each node's chip, `held` [h]
    the cores of each that are in use. `place` [c], `occupant` [m], `room` [n], `node_of` [s],
    `count` [s, n] (cores of node n that source s reaches, or their parts) and `held` are brought up
    to date.
    """
    cores, places = place.size, occupant.size
    state = np.empty(1, np.uint64)
    state[0] = seed
    node_of_core = np.empty(cores, np.int64)
    for core in range(cores):
        node_of_core[core] = node_of_place[place[core]]
    total, size, worse = 0.0, 0.0, 0
    for trial in range(trials):
        core = _below(state, cores)
        there = _below(state, places)
        other = occupant[there]
        here = place[core]
        a, b = node_of_place[here], node_of_place[there]
        if a == b or hops[a, b] < 0:
            continue
        back = memory[other] if other >= 0 else 0.0
        if memory[core] - back > room[b] or back - memory[core] > room[a]:
            continue
        change = _move(
            *(core, b, worth, hops, spikes, in_start, in_source, in_part),
            *(own_start, own, node_of_core, node_of, count),
        )
        if other >= 0:
            change += _move(
                *(other, a, worth, hops, spikes, in_start, in_source, in_part),
                *(own_start, own, node_of_core, node_of, count),
            )
        ways = change
        if other < 0 and chip_of[a] != chip_of[b]:
            change += idle * ((held[chip_of[b]] == 0) - (held[chip_of[a]] == 1))
        if change > 0.0:
            # a chip costs so much that it says nothing of how ways differ
            size += max(ways, 0.0)
            worse += 1
            # threshold accepting: no logarithm is needed, and it does as well
            time = max(0.0, 1.0 - trial / (0.75 * trials))
            limit = 0.4 * time * time * size / worse
            chance = np.float64(_next(state) >> np.uint64(11)) * 2.0**-53
            if change > limit * chance:
                if other >= 0:
                    _move(
                        *(other, b, worth, hops, spikes, in_start, in_source, in_part),
                        *(own_start, own, node_of_core, node_of, count),
                    )
                _move(
                    *(core, a, worth, hops, spikes, in_start, in_source, in_part),
                    *(own_start, own, node_of_core, node_of, count),
                )
                continue
        total += change
        room[a] += memory[core] - back
        room[b] -= memory[core] - back
        place[core], occupant[there], occupant[here] = there, core, other
        if other >= 0:
            place[other] = here
        else:
            held[chip_of[a]] -= 1
            held[chip_of[b]] += 1
    return total
