#!/usr/bin/env python3
"""A sparse network of Izhikevich's (2003) neurons in Brian2; prints one line of JSON."""

import brian2_standalone
import numpy as np
from brian2 import NeuronGroup, Synapses, ms
from measure import measured
from parameters import Izhikevich

# v and u in mV, times in ms, as they are written in the paper.
EQUATIONS = """
dv/dt = (0.04 * v**2 + 5 * v + 140 - u + drive) / ms : 1
du/dt = a * (b * v - u) / ms : 1
a : 1 (constant)
d : 1 (constant)
noise : 1 (constant)
drive : 1
"""


def main() -> None:
    """Build and run it."""
    parser = brian2_standalone.parser(__doc__, warmup=200.0)
    parser.add_argument("--neurons", type=int, default=100_000)
    options = parser.parse_args()
    net = Izhikevich(options.neurons)
    folder = brian2_standalone.reset(options)
    with measured() as describing:
        neurons = NeuronGroup(
            net.neurons,
            EQUATIONS,
            threshold="v >= v_th",
            reset="v = c; u += d",
            method="euler",
            namespace={"b": net.b, "c": net.c, "v_th": net.v_th},
        )
        neurons.v = net.v_start
        neurons.u = net.b * net.v_start
        populations = {"E": neurons[: net.n_ex], "I": neurons[net.n_ex :]}
        for group, a, d, noise in zip(populations.values(), net.a, net.d, net.noise, strict=True):
            group.a, group.d, group.noise = a, d, noise
        neurons.run_regularly("drive = noise * randn()", dt=net.noise_interval * ms)
        generator = np.random.default_rng(options.seed)
        objects = [neurons]
        for name, indegree, weight in (
            ("E", net.indegree_ex, net.weight_ex),
            ("I", net.indegree_in, net.weight_in),
        ):
            synapses = Synapses(
                populations[name],
                neurons,
                on_pre="v_post += weight",
                delay=net.delay * ms,
                namespace={"weight": weight},
            )
            brian2_standalone.connect_fixed_indegree(synapses, indegree, generator)
            objects.append(synapses)
    brian2_standalone.run_and_report(
        options,
        folder,
        objects,
        populations,
        network=f"izhikevich neurons={net.neurons}",
        synapses=net.synapses,
        describe_s=describing.wall_s,
    )


if __name__ == "__main__":
    main()
