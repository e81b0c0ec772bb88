"""Run by a Python that has SANA-FE: what it counts when a mapped network runs on its Loihi.

``sanafe_run.py REQUEST.json ANSWER.json``; the request's fields: ``groups`` (name: biases, one for
each neuron, and threshold), ``edges`` (source, target, weight; neurons as ``GROUP.INDEX``),
``mappings`` as SANA-FE's network files have them, ``steps``.
"""

import json
import sys
from pathlib import Path

import sanafe
from sanafe._examples import load_loihi


def network(request: dict) -> str:
    """Return the network in SANA-FE's format (JSON is YAML)."""
    groups = []
    for name, group in request["groups"].items():
        # every neuron is updated in every step, and keeps its potential
        soma = {"threshold": group["threshold"], "leak_decay": 1.0, "force_update": True}
        attributes = {
            **{"soma_hw_name": "loihi_lif", "synapse_hw_name": "loihi_dense_synapse"},
            **{"dendrite_hw_name": "loihi_dendrites", "log_spikes": True, "soma": soma},
        }
        neurons = [{str(at): {"soma": {"bias": bias}}} for at, bias in enumerate(group["biases"])]
        groups.append({"name": name, "attributes": attributes, "neurons": neurons})
    edges = [{f"{source} -> {target}": [{"weight": w}]} for source, target, w in request["edges"]]
    made = {"name": "network", "groups": groups, "edges": edges}
    return json.dumps({"network": made, "mappings": request["mappings"]}, indent=1)


def main() -> None:
    """Answer the request."""
    asked, answer = (Path(one) for one in sys.argv[1:])
    request = json.loads(asked.read_text())
    file = asked.with_suffix(".yaml")
    file.write_text(network(request))
    loihi = load_loihi()
    chip = sanafe.SpikingChip(loihi)
    chip.load(sanafe.load_net(str(file), loihi))
    result = chip.sim(request["steps"], spike_trace=True, perf_trace=True)
    trace = result["perf_trace"]
    counts = {
        "spikes": [[str(one) for one in step] for step in result["spike_trace"]],
        "packets": result["packets_sent"],
        "hops": sum(trace["hops"]),
        "events": result["spikes"],
        "energy": {name: float(value) for name, value in result["energy"].items()},
    }
    answer.write_text(json.dumps(counts))


if __name__ == "__main__":
    main()
