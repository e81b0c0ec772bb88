"""Compression of routing tables: entries of one route merge if no entry of another route matches.

An entry (key, mask) matches k if ``k & mask == key``; the first entry that matches decides. Two
entries merge to ``mask = a.mask & b.mask & ~(a.key ^ b.key)``, ``key = a.key & mask``, which
matches all that either did and more. So a table is compressed route by route, from the route with
the fewest entries to the route with the most. A merged entry may match keys of earlier routes, as
earlier entries decide first, and keys that never reach the router. It must not match keys of later
routes or of packets that take the default route.
"""

import numpy as np

from distsnn.jit import inline, kernel


@inline
def _intersect(key, mask, other_key, other_mask):
    return (key & other_mask & mask) == (other_key & mask & other_mask)


@kernel
def merge_entries(key, mask, bound, original, blocked_key, blocked_mask):
    """Merge the entries of each route in place; return the remaining number of each route.

    Parameters
    ----------
    key, mask : [e] int64
        Entries, route by route in the order of the table. The remaining entries of route r start
        at ``bound[r]``.
    bound : [r + 1] int64
        First entry of each route.
    original : [e] key and mask of the entries as given
        What later routes must keep (as a pair of arrays).
    blocked_key, blocked_mask : [b] int64
        Keys and masks that no entry may match.
    """
    original_key, original_mask = original
    routes = bound.size - 1
    n_remaining = np.empty(routes, np.int64)
    total = original_key.size
    for r in range(routes):
        start, size = bound[r], bound[r + 1] - bound[r]
        first_later = bound[r + 1]
        has_merged = True
        while has_merged:
            has_merged = False
            i = 0
            while i < size:
                a_key, a_mask = key[start + i], mask[start + i]
                j = i + 1
                while j < size:
                    b_key, b_mask = key[start + j], mask[start + j]
                    m_mask = a_mask & b_mask & ~(a_key ^ b_key)
                    m_key = a_key & m_mask
                    is_allowed = True
                    # the merger of two halves of a block matches no further key
                    differing_bits = a_key ^ b_key
                    if a_mask != b_mask or differing_bits & (differing_bits - 1) != 0:
                        for k in range(first_later, total):
                            if _intersect(m_key, m_mask, original_key[k], original_mask[k]):
                                is_allowed = False
                                break
                        if is_allowed:
                            for k in range(blocked_key.size):
                                if _intersect(m_key, m_mask, blocked_key[k], blocked_mask[k]):
                                    is_allowed = False
                                    break
                    if is_allowed:
                        a_key, a_mask = m_key, m_mask
                        key[start + i], mask[start + i] = m_key, m_mask
                        size -= 1
                        for k in range(j, size):
                            key[start + k], mask[start + k] = (
                                key[start + k + 1],
                                mask[start + k + 1],
                            )
                        has_merged = True
                        j = i + 1
                    else:
                        j += 1
                i += 1
        n_remaining[r] = size
    return n_remaining
