"""Counter-based random numbers: the same stream whatever the rank, thread or order of calls.

Two generators. *Philox4x32-10* (Salmon et al. 2011, SC'11) serves state and stimuli. The
finaliser of *splitmix64* (Steele, Lea & Flood 2014, OOPSLA) over a keyed counter serves wiring,
where a draw must cost about a nanosecond. Every stream is keyed by the run's seed, its purpose
and the object it belongs to, so that no two purposes share numbers.
"""

import numpy as np
from numba import uint32, uint64

from distsnn.jit import inline

# Purposes: the first words of a stream's key.
WIRING, PARAMETER, STIMULUS, NOISE, NEURON, SYNAPSE, TRANSMISSION = range(1, 8)

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_WEYL_0 = np.uint32(0x9E3779B9)
_WEYL_1 = np.uint32(0xBB67AE85)


@inline
def splitmix64(word):
    """Return the splitmix64 finaliser of a 64-bit word."""
    word = (word ^ (word >> np.uint64(30))) * _MIX_1
    word = (word ^ (word >> np.uint64(27))) * _MIX_2
    return word ^ (word >> np.uint64(31))


@inline
def label(index):
    """Return the label by which `substream_key` knows the sub-stream `index`."""
    return splitmix64(uint64(index) + GOLDEN) + GOLDEN


@inline
def labelled(parent, its_label):
    """Return `substream_key` of a label that was mixed before."""
    return splitmix64(parent ^ its_label)


@inline
def substream_key(parent, index):
    """Return the key of the sub-stream `index` of a stream (both uint64)."""
    return labelled(parent, label(index))


@inline
def random_word(key, counter):
    """Return the 64-bit word number `counter` of the stream `key`."""
    return splitmix64(key + uint64(counter) * GOLDEN)


@inline
def uniform_below(half, n):
    """Map a 32-bit word (held in a uint64) to an integer in [0, n), n < 2**32.

    The bias is at most n / 2**32.
    """
    return (half * uint64(n)) >> _32


@inline
def high_half(word):
    """Return the upper 32 bits of a 64-bit word."""
    return word >> _32


@inline
def low_half(word):
    """Return the lower 32 bits of a 64-bit word."""
    return word & _LOW


@inline
def uniform_01(word):
    """Map a 64-bit word to a float64 in (0, 1): odd multiples of 2**-53."""
    return (np.float64(np.int64(word >> np.uint64(12))) + 0.5) * 2.220446049250313e-16


@inline
def philox_round(c0, c1, c2, c3, k0, k1):
    """Return one round of Philox4x32 (all uint32)."""
    p0 = uint64(c0) * uint64(0xD2511F53)
    p1 = uint64(c2) * uint64(0xCD9E8D57)
    return (
        uint32(p1 >> _32) ^ c1 ^ k0,
        uint32(p1),
        uint32(p0 >> _32) ^ c3 ^ k1,
        uint32(p0),
    )


@inline
def philox(c0, c1, c2, c3, k0, k1):
    """Return the four words of Philox4x32-10 at a counter under a key (all uint32)."""
    for _ in range(10):
        c0, c1, c2, c3 = philox_round(c0, c1, c2, c3, k0, k1)
        k0, k1 = uint32(k0 + _WEYL_0), uint32(k1 + _WEYL_1)
    return c0, c1, c2, c3
