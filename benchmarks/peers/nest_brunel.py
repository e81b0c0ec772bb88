#!/usr/bin/env python3
"""The Brunel network in NEST; prints one line of JSON."""

import nest_kernel
from measure import measured
from nest_kernel import nest
from parameters import Brunel


def main() -> None:
    """Build and run it."""
    parser = nest_kernel.parser(__doc__, warmup=200.0)
    parser.add_argument("--order", type=int, default=2500, help="4 order + order neurons")
    options = parser.parse_args()
    net = Brunel(options.order)
    nest_kernel.reset(options)
    with measured() as build:
        neuron = {
            "C_m": 1.0,  # without effect: delta synapses, no current
            "tau_m": net.tau_m,
            "t_ref": net.t_ref,
            "E_L": net.v_rest,
            "V_m": net.v_rest,
            "V_reset": net.v_reset,
            "V_th": net.v_th,
        }
        excitatory = nest.Create("iaf_psc_delta", net.n_ex, neuron)
        inhibitory = nest.Create("iaf_psc_delta", net.n_in, neuron)
        everyone = excitatory + inhibitory
        noise = nest.Create("poisson_generator", params={"rate": net.input_rate})
        for model, weight in (("excite", net.weight_ex), ("inhibit", net.weight_in)):
            nest.CopyModel("static_synapse", model, {"weight": weight, "delay": net.delay})
        nest.Connect(noise, everyone, syn_spec="excite")
        for source, indegree, model in (
            (excitatory, net.indegree_ex, "excite"),
            (inhibitory, net.indegree_in, "inhibit"),
        ):
            rule = {"rule": "fixed_indegree", "indegree": indegree}
            nest.Connect(source, everyone, rule, model)
        populations = {"E": excitatory, "I": inhibitory}
        recorders = nest_kernel.prepare(options, populations)
    nest_kernel.run_and_report(
        options,
        populations,
        recorders,
        network=f"brunel order={options.order}",
        synapses=net.synapses,
        build_s=build.wall_s,
    )


if __name__ == "__main__":
    main()
