"""Following packets through routers' tables, with nothing known of how the tables were made."""

import numpy as np

from distsnn.jit import inline, kernel

# kinds of what is found
LOOP, DUPLICATE, DEAD_LINK, DEAD_CORE, UNWANTED, MISSING, SPLIT, DROPPED, UNROUTED = range(9)


@inline
def _note(found, n_found, kind, source, node, detail):
    if n_found < found.shape[0]:
        found[n_found, 0], found[n_found, 1] = kind, source
        found[n_found, 2], found[n_found, 3] = node, detail
    return n_found + 1


@kernel
def walk(
    block_key,
    block_mask,
    home,
    start,
    target,
    node_of_place,
    neighbour,
    opposite,
    straight,
    default,
    place_of,
    table_start,
    table_key,
    table_mask,
    table_links,
    table_cores,
    found,
    crossed,
):
    """Send a packet of every source and note what goes wrong; return the number of notes.

    Parameters
    ----------
    block_key, block_mask : [s] int64
        Keys of each source.
    home : [s] int64
        Node of each source.
    start, target : CSR
        Places that each source must reach.
    node_of_place : [m] int64
        Node of each place.
    neighbour, opposite : [n, p]
        Links that are alive.
    straight : [p] int64
        Port opposite each port of a node, or -1.
    default : bool
        Whether packets that nothing matches go straight on.
    place_of : [n, 64 w] int64
        Place of each core of a node, or -1.
    table_start, table_key, table_mask, table_links, table_cores
        Tables.
    found : [f, 4] int64, filled
        Kind, source, node, and a port, core number or entry.
    crossed : [s] int64, filled
        Links that one packet of each source crosses.
    """
    nodes, ports = neighbour.shape
    visited = np.full(nodes, -1, np.int64)
    came_from = np.empty(nodes, np.int64)
    wanted = np.full(node_of_place.size, -1, np.int64)
    got = np.full(node_of_place.size, -1, np.int64)
    stack = np.empty((nodes * (ports + 1) + 1, 3), np.int64)
    n_found = 0
    for s in range(home.size):
        crossed[s] = 0
        if start[s] == start[s + 1]:
            continue
        for k in range(start[s], start[s + 1]):
            wanted[target[k]] = s
        stack[0, 0], stack[0, 1], stack[0, 2] = home[s], -1, -1
        top = 1
        while top > 0:
            top -= 1
            node, arrival, before = stack[top, 0], stack[top, 1], stack[top, 2]
            if visited[node] == s:
                kind, up = DUPLICATE, before
                while up >= 0:
                    if up == node:
                        kind = LOOP
                        break
                    up = came_from[up]
                n_found = _note(found, n_found, kind, s, node, arrival)
                continue
            visited[node], came_from[node] = s, before
            entry = np.int64(-1)
            for e in range(table_start[node], table_start[node + 1]):
                common = table_mask[e] & block_mask[s]
                if (table_key[e] & common) == (block_key[s] & common):
                    entry = e
                    break
            out = np.int64(0)
            if entry < 0:
                if arrival < 0:
                    n_found = _note(found, n_found, UNROUTED, s, node, -1)
                    continue
                ahead = straight[arrival]
                if not default or ahead < 0:
                    n_found = _note(found, n_found, DROPPED, s, node, arrival)
                    continue
                out = np.int64(1) << ahead
            else:
                if table_mask[entry] & ~block_mask[s] != 0:
                    n_found = _note(found, n_found, SPLIT, s, node, entry - table_start[node])
                out = table_links[entry]
                for core in range(place_of.shape[1]):
                    if table_cores[entry, core >> 6] >> np.uint64(core & 63) & np.uint64(1):
                        place = place_of[node, core]
                        if place < 0:
                            n_found = _note(found, n_found, DEAD_CORE, s, node, core)
                        elif wanted[place] != s:
                            n_found = _note(found, n_found, UNWANTED, s, node, core)
                        else:
                            got[place] = s
            for port in range(ports):
                if out >> port & 1:
                    there = neighbour[node, port]
                    if there < 0:
                        n_found = _note(found, n_found, DEAD_LINK, s, node, port)
                        continue
                    crossed[s] += 1
                    stack[top, 0], stack[top, 1] = there, opposite[node, port]
                    stack[top, 2] = node
                    top += 1
            if out >> ports != 0:
                n_found = _note(found, n_found, DEAD_LINK, s, node, ports)
        for k in range(start[s], start[s + 1]):
            if got[target[k]] != s:
                n_found = _note(found, n_found, MISSING, s, node_of_place[target[k]], target[k])
    return n_found
