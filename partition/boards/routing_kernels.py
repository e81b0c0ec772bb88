"""Kernels for trees of shortest paths, and for the entries of multicast routes along them.

Axes: n nodes, p ports, s sources (slices), e entries, w words of 64 cores.
"""

import numpy as np

from distsnn.jit import kernel


@kernel
def grow_trees(roots, neighbour, opposite, port_order, turn, load, hops, parent, port):
    """Fill a spanning tree of shortest paths with few turns from each root.

    Parameters
    ----------
    roots : [r] int64
        Root nodes.
    neighbour, opposite : [n, p]
        The machine.
    port_order : [p] int64
        Ports in the order in which they are tried; of equal paths the first wins.
    turn : float
        Cost of a turn.
    load : [n, p] float64
        Cost of each link.
    hops : [n, n] int16
        Hops between nodes, -1 without a path.
    parent, port : [r, n] int32, filled
        ``parent[a, b]`` is the last node on the path from root a to b, and ``port[a, b]`` its
        port; -1 for the root itself and without a path.
    """
    size = neighbour.shape[0]
    price = np.empty(size)
    for root in range(roots.size):
        start = roots[root]
        parent_of_node, port_of_node = parent[root], port[root]
        parent_of_node[:] = -1
        port_of_node[:] = -1
        price[start] = 0.0
        order = np.argsort(hops[start], kind="mergesort")
        for node in order:
            if hops[start, node] <= 0:
                continue
            best = np.inf
            for arrival in port_order:
                # the neighbour behind the port may be the parent
                sender = neighbour[node, arrival]
                if sender < 0 or hops[start, sender] != hops[start, node] - 1:
                    continue
                out = opposite[node, arrival]
                candidate = price[sender] + load[sender, out]
                if sender != start and port_of_node[sender] != out:
                    candidate += turn
                if candidate < best:
                    best, parent_of_node[node], port_of_node[node] = candidate, sender, out
            price[node] = best


@kernel
def count_entries(home, tree, start, target, node_of_core, parent, last_source, out):
    """Count into ``out[s]`` the nodes that each source's packets visit; return a source cut off.

    `last_source` [n] is scratch of int64, all -1. The result is -1 if all targets are reachable.
    """
    for s in range(home.size):
        n_visited = 0
        for k in range(start[s], start[s + 1]):
            node = node_of_core[target[k]]
            if n_visited == 0:
                last_source[home[s]] = s
                n_visited = 1
            while last_source[node] != s:
                last_source[node] = s
                n_visited += 1
                node = parent[tree[s], node]
                if node < 0:
                    return s
        out[s] = n_visited
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
    entry_start,
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
        Target cores.
    node_of_core, number_of_core : [c]
        Node of each core, and its number there.
    parent, port : [r, n]
        Trees.
    opposite : [n, p]
        Port of arrival.
    entry_start : [s + 1]
        First entry of each source.
    slot : [n] int64
        Scratch, all -1.
    entries : (source, node, arrival, links, cores)
        [e] int32, [e] int32, [e] int32 (-1: from a core), [e] int64, [e, w] uint64, filled; links
        and cores must be zero.
    """
    source, entry_node, arrival, links, cores = entries
    for s in range(home.size):
        next_entry = entry_start[s]
        if entry_start[s + 1] == next_entry:
            continue
        source[next_entry], entry_node[next_entry], arrival[next_entry] = s, home[s], -1
        slot[home[s]] = next_entry
        next_entry += 1
        for k in range(start[s], start[s + 1]):
            node = node_of_core[target[k]]
            number = number_of_core[target[k]]
            next_port = np.int64(-1)
            leaf = node
            while True:
                is_new = slot[node] < entry_start[s]
                if is_new:
                    sender, out = parent[tree[s], node], port[tree[s], node]
                    slot[node] = next_entry
                    source[next_entry], entry_node[next_entry] = s, node
                    arrival[next_entry] = opposite[sender, out]
                    next_entry += 1
                if next_port >= 0:
                    links[slot[node]] |= np.int64(1) << next_port
                if not is_new:
                    break
                next_port, node = np.int64(out), sender
            cores[slot[leaf], number >> 6] |= np.uint64(1) << np.uint64(number & 63)


@kernel
def add_loads(source, where, links, spikes, out):
    """Add to ``out[n, p]`` the packets that the entries send over each link, 1/s."""
    for e in range(source.size):
        for port in range(out.shape[1]):
            if links[e] >> port & 1:
                out[where[e], port] += spikes[source[e]]


@kernel
def add_unicast_loads(home, tree, start, target, node_of_core, parent, port, packets, out):
    """Add to ``out[n, p]`` the unicast packets over each link, 1/s.

    Return a source with an unreachable target, or -1.
    """
    for s in range(home.size):
        for k in range(start[s], start[s + 1]):
            node = np.int64(node_of_core[target[k]])
            while node != home[s]:
                sender = np.int64(parent[tree[s], node])
                if sender < 0:
                    return s
                out[sender, port[tree[s], node]] += packets[k]
                node = sender
    return -1
