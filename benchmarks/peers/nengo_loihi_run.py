"""Run by a Python that has nengo-loihi: its limits of a core, rounded weights, bits of synapses.

``nengo_loihi_run.py REQUEST.json ANSWER.json``; the request's fields: ``weights``, a list of
arrays of weights, each within the range that eight bits have; ``rows``, a list of lists of the
number of synapses of each axon.
"""

import json
import sys
from pathlib import Path

import numpy as np
import scipy.sparse
from nengo_loihi import block
from nengo_loihi.builder.discretize import discretize_weights
from nengo_loihi.hardware import nxsdk_objects


def rounded(weights: list) -> list:
    """Return weights as the chip has them, of both signs as mixed synapses."""
    given = np.array(weights)
    config = block.SynapseConfig()
    mixed = bool((given < 0).any() and (given > 0).any())
    # fan-out types: 1 mixed, 2 and 3 of one sign; the last of the sizes of weights is the largest
    config.set(weight_bits=len(config.WEIGHT_BITS_MAP) - 1, fanout_type=1 if mixed else 2)
    return (discretize_weights(config, given) / config.scale).tolist()


def synapse_bits(row: list) -> int:
    """Return the memory that axons of so many synapses each take of a core."""
    ends = np.cumsum([0, *row])
    targets = np.concatenate([np.arange(n) for n in row])
    synapse = block.Synapse(len(row))
    synapse.set_weights(scipy.sparse.csr_matrix((np.ones(ends[-1]), targets, ends)))
    return synapse.bits()


def main() -> None:
    """Answer the request."""
    asked, answer = (Path(one) for one in sys.argv[1:])
    request = json.loads(asked.read_text())
    names = ("MAX_COMPARTMENTS", "MAX_IN_AXONS", "MAX_OUT_AXONS", "MAX_SYNAPSE_BITS")
    found = {name: getattr(block, name) for name in names}
    found["WEIGHT_BITS"] = block.SynapseConfig.WEIGHT_BITS_MAP[-1]
    found["MAX_SYNAPSE_CFGS"] = nxsdk_objects.MAX_SYNAPSE_CFGS
    found["weights"] = [rounded(one) for one in request["weights"]]
    found["bits"] = [synapse_bits(one) for one in request["rows"]]
    answer.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
