#!/usr/bin/env python3
"""Benchmark 2 of Brette et al. (2007) in NEST; prints one line of JSON."""

import nest_kernel
from measure import measured
from nest_kernel import nest
from parameters import BretteCuba


def main() -> None:
    """Build and run it."""
    parser = nest_kernel.parser(__doc__, warmup=200.0)
    parser.add_argument("--neurons", type=int, default=4000)
    options = parser.parse_args()
    net = BretteCuba(options.neurons)
    nest_kernel.reset(options)
    with measured() as build:
        neuron = {
            "C_m": net.c_m,
            "tau_m": net.tau_m,
            "t_ref": net.t_ref,
            "E_L": net.e_l,
            "V_reset": net.v_reset,
            "V_th": net.v_th,
            "tau_syn_ex": net.tau_syn_ex,
            "tau_syn_in": net.tau_syn_in,
            "V_m": nest.random.uniform(*net.v_start),
        }
        excitatory = nest.Create("iaf_psc_exp", net.n_ex, neuron)
        inhibitory = nest.Create("iaf_psc_exp", net.n_in, neuron)
        for source, indegree, weight in (
            (excitatory, net.indegree_ex, net.weight_ex),
            (inhibitory, net.indegree_in, net.weight_in),
        ):
            rule = {"rule": "fixed_indegree", "indegree": indegree}
            nest.Connect(
                source, excitatory + inhibitory, rule, {"weight": weight, "delay": net.delay}
            )
        if net.n_stimulated:
            stimulus = nest.Create(
                "poisson_generator",
                params={
                    "rate": net.stimulus_rate,
                    "start": net.stimulus_start,
                    "stop": net.stimulus_stop,
                },
            )
            synapse = {"weight": net.weight_ex, "delay": net.delay}
            nest.Connect(stimulus, excitatory[: net.n_stimulated], "all_to_all", synapse)
        populations = {"E": excitatory, "I": inhibitory}
        recorders = nest_kernel.prepare(options, populations)
    nest_kernel.run_and_report(
        options,
        populations,
        recorders,
        network=f"brette_cuba neurons={net.neurons}",
        synapses=net.synapses,
        build_s=build.wall_s,
    )


if __name__ == "__main__":
    main()
