"""A synapse model of a test: a source's n-th spike acts with 1/n of the weight, times `gain`."""

from distsnn.jit import kernel_entry

STATES = ("n",)
CONSTANTS = ("gain",)


def constants(parameters, dt):
    """Return the constants of sources by name."""
    return {"gain": parameters["gain"]}


@kernel_entry
def spike(table, records, at, last, step):
    """Advance a source's record to its next spike (see `distsnn.kernels.synapses`)."""
    n = records[at] + 1.0
    records[at], records[at + 2] = n, records[at + 1] / n
    return 0
