"""Making a router's table smaller: entries of one route merge where the result takes in no other.

An entry (key, mask) matches k if ``k & mask == key``; the first entry that matches decides. Two
entries merge to ``mask = a.mask & b.mask & ~(a.key ^ b.key)``, ``key = a.key & mask``, which
matches all that either did and more. So a table is compressed route by route, from the route with
the fewest entries to that with the most: a merged entry may take in keys of earlier routes, as
earlier entries decide first, and keys that never come here, but none of a later route and none that
has to go straight on without an entry.
"""

import numpy as np

from distsnn.jit import inline, kernel


@inline
def _intersect(key, mask, other_key, other_mask):
    return (key & other_mask & mask) == (other_key & mask & other_mask)


@kernel
def merge(key, mask, bound, first_later, blocked_key, blocked_mask):
    """Merge the entries of each route, in place; return how many are left of each.

    Parameters
    ----------
    key, mask : [e] int64
        Entries, route by route in the order of the table; the left ones of route r stand from
        ``bound[r]`` on.
    bound : [r + 1] int64
        First entry of each route.
    first_later : [e] key and mask of the entries as given
        What later routes must keep (as a pair of arrays).
    blocked_key, blocked_mask : [b] int64
        What must not match anything.
    """
    given_key, given_mask = first_later
    routes = bound.size - 1
    left_of = np.empty(routes, np.int64)
    total = given_key.size
    for r in range(routes):
        start, size = bound[r], bound[r + 1] - bound[r]
        later = bound[r + 1]
        again = True
        while again:
            again = False
            i = 0
            while i < size:
                a_key, a_mask = key[start + i], mask[start + i]
                j = i + 1
                while j < size:
                    b_key, b_mask = key[start + j], mask[start + j]
                    m_mask = a_mask & b_mask & ~(a_key ^ b_key)
                    m_key = a_key & m_mask
                    free = True
                    # two halves of one block take in nothing new
                    apart = a_key ^ b_key
                    if a_mask != b_mask or apart & (apart - 1) != 0:
                        for k in range(later, total):
                            if _intersect(m_key, m_mask, given_key[k], given_mask[k]):
                                free = False
                                break
                        if free:
                            for k in range(blocked_key.size):
                                if _intersect(m_key, m_mask, blocked_key[k], blocked_mask[k]):
                                    free = False
                                    break
                    if free:
                        a_key, a_mask = m_key, m_mask
                        key[start + i], mask[start + i] = m_key, m_mask
                        size -= 1
                        for k in range(j, size):
                            key[start + k], mask[start + k] = (
                                key[start + k + 1],
                                mask[start + k + 1],
                            )
                        again = True
                        j = i + 1
                    else:
                        j += 1
                i += 1
        left_of[r] = size
    return left_of
