"""Trees of shortest ways, and the entries of multicast routes along them.

Axes: n nodes, p ports, s sources (slices), e entries, w words of 64 cores.
"""

import numpy as np

from distsnn.jit import kernel


@kernel
def grow_trees(roots, neighbour, opposite, tries, turn, load, hops, parent, port):
    """Fill a spanning tree of shortest ways from each of some nodes, with few turns.

    Parameters
    ----------
    roots : [r] int64
        The nodes.
    neighbour, opposite : [n, p]
        The machine.
    tries : [p] int64
        Ports in the order in which they are asked; of equally good ones the first wins.
    turn : float
        Price of a turn.
    load : [n, p] float64
        Price of each link.
    hops : [n, n] int16
        Distances, -1 where there is no way.
    parent, port : [r, n] int32, filled
        ``parent[a, b]`` is the last node on the way from root a to b, and ``port[a, b]`` its port;
        -1 for the root itself and where there is no way.
    """
    size = neighbour.shape[0]
    price = np.empty(size)
    for root in range(roots.size):
        start = roots[root]
        up, by = parent[root], port[root]
        up[:] = -1
        by[:] = -1
        price[start] = 0.0
        order = np.argsort(hops[start], kind="mergesort")
        for node in order:
            if hops[start, node] <= 0:
                continue
            best = np.inf
            for back in tries:
                # the neighbour behind each port may send to us
                before = neighbour[node, back]
                if before < 0 or hops[start, before] != hops[start, node] - 1:
                    continue
                out = opposite[node, back]
                asked = price[before] + load[before, out]
                if before != start and by[before] != out:
                    asked += turn
                if asked < best:
                    best, up[node], by[node] = asked, before, out
            price[node] = best


@kernel
def count_entries(home, tree, start, target, node_of_core, parent, seen, out):
    """Count into ``out[s]`` the nodes that each source's packets visit; return a source cut off.

    `seen` [n] is scratch of int64, all -1. The result is -1 if every source reaches its targets.
    """
    for s in range(home.size):
        visited = 0
        for k in range(start[s], start[s + 1]):
            node = node_of_core[target[k]]
            if visited == 0:
                seen[home[s]] = s
                visited = 1
            while seen[node] != s:
                seen[node] = s
                visited += 1
                node = parent[tree[s], node]
                if node < 0:
                    return s
        out[s] = visited
    return -1


@kernel
def fill_entries(
    home,
    tree,
    start,
    target,
    node_of_core,
    number_of_core,
    parent,
    port,
    opposite,
    at,
    slot,
    entries,
):
    """Fill the entries of each source's tree.

    Parameters
    ----------
    home : [s]
        Node of each source.
    tree : [s]
        Its tree.
    start, target : CSR
        Cores that it reaches.
    node_of_core, number_of_core : [c]
        Node of each core, and its number there.
    parent, port : [r, n]
        Trees.
    opposite : [n, p]
        Port of arrival.
    at : [s + 1]
        First entry of each source.
    slot : [n] int64
        Scratch, all -1.
    entries : (source, node, arrival, links, cores)
        [e] int32, [e] int32, [e] int32 (-1: from a core), [e] int64, [e, w] uint64, filled; links
        and cores must be zero.
    """
    source, where, arrival, links, cores = entries
    for s in range(home.size):
        free = at[s]
        if at[s + 1] == free:
            continue
        source[free], where[free], arrival[free] = s, home[s], -1
        slot[home[s]] = free
        free += 1
        for k in range(start[s], start[s + 1]):
            node = node_of_core[target[k]]
            number = number_of_core[target[k]]
            below = np.int64(-1)
            leaf = node
            while True:
                new = slot[node] < at[s]
                if new:
                    before, out = parent[tree[s], node], port[tree[s], node]
                    slot[node] = free
                    source[free], where[free] = s, node
                    arrival[free] = opposite[before, out]
                    free += 1
                if below >= 0:
                    links[slot[node]] |= np.int64(1) << below
                if not new:
                    break
                below, node = np.int64(out), before
            cores[slot[leaf], number >> 6] |= np.uint64(1) << np.uint64(number & 63)


@kernel
def add_loads(source, where, links, spikes, out):
    """Add to ``out[n, p]`` the packets/s that the entries send over each link."""
    for e in range(source.size):
        for port in range(out.shape[1]):
            if links[e] >> port & 1:
                out[where[e], port] += spikes[source[e]]


@kernel
def add_single_loads(home, tree, start, target, node_of_core, parent, port, packets, out):
    """Add to ``out[n, p]`` the packets/s over each link where each core is sent its own; -> cut."""
    for s in range(home.size):
        for k in range(start[s], start[s + 1]):
            node = np.int64(node_of_core[target[k]])
            while node != home[s]:
                before = np.int64(parent[tree[s], node])
                if before < 0:
                    return s
                out[before, port[tree[s], node]] += packets[k]
                node = before
    return -1
