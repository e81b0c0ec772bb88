"""Kernel that traces packets through routing tables, independent of the code that made them."""

import numpy as np

from distsnn.jit import inline, kernel

# kinds of violations
LOOP, DUPLICATE, DEAD_LINK, DEAD_CORE, UNWANTED, MISSING, SPLIT, DROPPED, UNROUTED = range(9)


@inline
def _record(records, n_records, kind, source, node, detail):
    if n_records < records.shape[0]:
        records[n_records, 0], records[n_records, 1] = kind, source
        records[n_records, 2], records[n_records, 3] = node, detail
    return n_records + 1


@kernel
def trace_packets(
    block_key,
    block_mask,
    home,
    start,
    target,
    node_of_core,
    neighbour,
    opposite,
    opposite_port,
    default,
    core_index,
    table_start,
    table_key,
    table_mask,
    table_links,
    table_cores,
    records,
    crossed,
):
    """Trace a packet of every source, record violations and return their number.

    Parameters
    ----------
    block_key, block_mask : [s] int64
        Keys of each source.
    home : [s] int64
        Node of each source.
    start, target : CSR
        Physical cores that each source must reach.
    node_of_core : [m] int64
        Node of each physical core.
    neighbour, opposite : [n, p]
        Links that are alive.
    opposite_port : [p] int64
        Port opposite each port of a node, or -1.
    default : bool
        Whether unmatched packets take the default route.
    core_index : [n, 64 w] int64
        Physical core of each core number of a node, or -1.
    table_start, table_key, table_mask, table_links, table_cores
        Tables.
    records : [f, 4] int64, filled
        Kind, source, node, and a port, core number or entry.
    crossed : [s] int64, filled
        Number of links that a packet of each source crosses.
    """
    nodes, ports = neighbour.shape
    visited = np.full(nodes, -1, np.int64)
    came_from = np.empty(nodes, np.int64)
    required = np.full(node_of_core.size, -1, np.int64)
    received = np.full(node_of_core.size, -1, np.int64)
    stack = np.empty((nodes * (ports + 1) + 1, 3), np.int64)
    n_records = 0
    for s in range(home.size):
        crossed[s] = 0
        if start[s] == start[s + 1]:
            continue
        for k in range(start[s], start[s + 1]):
            required[target[k]] = s
        stack[0, 0], stack[0, 1], stack[0, 2] = home[s], -1, -1
        top = 1
        while top > 0:
            top -= 1
            node, arrival, sender = stack[top, 0], stack[top, 1], stack[top, 2]
            if visited[node] == s:
                kind, previous = DUPLICATE, sender
                while previous >= 0:
                    if previous == node:
                        kind = LOOP
                        break
                    previous = came_from[previous]
                n_records = _record(records, n_records, kind, s, node, arrival)
                continue
            visited[node], came_from[node] = s, sender
            entry = np.int64(-1)
            for e in range(table_start[node], table_start[node + 1]):
                common = table_mask[e] & block_mask[s]
                if (table_key[e] & common) == (block_key[s] & common):
                    entry = e
                    break
            out = np.int64(0)
            if entry < 0:
                if arrival < 0:
                    n_records = _record(records, n_records, UNROUTED, s, node, -1)
                    continue
                default_port = opposite_port[arrival]
                if not default or default_port < 0:
                    n_records = _record(records, n_records, DROPPED, s, node, arrival)
                    continue
                out = np.int64(1) << default_port
            else:
                if table_mask[entry] & ~block_mask[s] != 0:
                    n_records = _record(
                        records, n_records, SPLIT, s, node, entry - table_start[node]
                    )
                out = table_links[entry]
                for core in range(core_index.shape[1]):
                    if table_cores[entry, core >> 6] >> np.uint64(core & 63) & np.uint64(1):
                        core_at = core_index[node, core]
                        if core_at < 0:
                            n_records = _record(records, n_records, DEAD_CORE, s, node, core)
                        elif required[core_at] != s:
                            n_records = _record(records, n_records, UNWANTED, s, node, core)
                        else:
                            received[core_at] = s
            for port in range(ports):
                if out >> port & 1:
                    next_node = neighbour[node, port]
                    if next_node < 0:
                        n_records = _record(records, n_records, DEAD_LINK, s, node, port)
                        continue
                    crossed[s] += 1
                    stack[top, 0], stack[top, 1] = next_node, opposite[node, port]
                    stack[top, 2] = node
                    top += 1
            if out >> ports != 0:
                n_records = _record(records, n_records, DEAD_LINK, s, node, ports)
        for k in range(start[s], start[s + 1]):
            if received[target[k]] != s:
                n_records = _record(
                    records, n_records, MISSING, s, node_of_core[target[k]], target[k]
                )
    return n_records
