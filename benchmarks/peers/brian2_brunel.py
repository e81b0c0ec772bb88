#!/usr/bin/env python3
"""The Brunel network in Brian2; prints one line of JSON."""

import brian2_standalone
import numpy as np
from brian2 import Hz, NeuronGroup, PoissonInput, Synapses, ms, mV
from measure import measured
from parameters import Brunel


def main() -> None:
    """Build and run it."""
    parser = brian2_standalone.parser(__doc__, warmup=200.0)
    parser.add_argument("--order", type=int, default=2500, help="4 order + order neurons")
    options = parser.parse_args()
    net = Brunel(options.order)
    folder = brian2_standalone.reset(options)
    with measured() as describing:
        neurons = NeuronGroup(
            net.neurons,
            "dv/dt = (v_rest - v) / tau_m : volt (unless refractory)",
            threshold="v > v_th",
            reset="v = v_reset",
            refractory=net.t_ref * ms,
            method="exact",
            namespace={
                "tau_m": net.tau_m * ms,
                "v_rest": net.v_rest * mV,
                "v_th": net.v_th * mV,
                "v_reset": net.v_reset * mV,
            },
        )
        neurons.v = net.v_rest * mV
        populations = {"E": neurons[: net.n_ex], "I": neurons[net.n_ex :]}
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
                namespace={"weight": weight * mV},
            )
            brian2_standalone.connect_fixed_indegree(synapses, indegree, generator)
            objects.append(synapses)
        # As many sources as recurrent excitatory synapses; only their summed rate matters.
        rate = net.input_rate / net.indegree_ex * Hz
        noise = PoissonInput(neurons, "v", net.indegree_ex, rate, net.weight_ex * mV)
        objects.append(noise)
    brian2_standalone.run_and_report(
        options,
        folder,
        objects,
        populations,
        network=f"brunel order={options.order}",
        synapses=net.synapses,
        describe_s=describing.wall_s,
    )


if __name__ == "__main__":
    main()
