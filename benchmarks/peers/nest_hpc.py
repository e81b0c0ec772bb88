#!/usr/bin/env python3
"""NEST's own benchmark with plastic synapses in NEST; prints one line of JSON.

Besides the usual fields: synaptic events by second of wall time, and bytes of memory by synapse.
"""

from collections.abc import Mapping

import nest_kernel
from measure import measured, peak_rss_bytes, rss_bytes
from nest_kernel import nest
from parameters import HpcBenchmark

STDP = "stdp_pl_synapse_hom_hpc"
SAMPLE = 200  # looking at all synapses would take longer than the run


def main() -> None:
    """Build and run it."""
    parser = nest_kernel.parser(__doc__, warmup=100.0)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of neurons")
    parser.add_argument("--density", type=float, default=1.0, help="of the indegrees")
    parser.add_argument("--static", action="store_true", help="no synapse learns")
    parser.add_argument(
        "--weights",
        action="store_true",
        help=f"also tell mean, SD and 5 %%, 50 %% and 95 %% of the weights that learn, of {SAMPLE} "
        "sources, pA",
    )
    options = parser.parse_args()
    net = HpcBenchmark(options.scale, options.density)
    nest_kernel.reset(options)
    before = rss_bytes()
    with measured() as build:
        populations = {"E": _neurons(net, net.n_ex), "I": _neurons(net, net.n_in)}
        _connect(net, populations, "excite" if options.static else STDP)
        recorders = nest_kernel.prepare(options, populations)

    def more(rates: Mapping[str, float], wall_s: float) -> dict[str, float]:
        # all neurons draw so many sources of each population
        each = {name: rates.get(name, rates.get("all")) for name in populations}
        per_s = net.indegree_ex * each["E"] + net.indegree_in * each["I"]
        events = net.neurons * per_s * options.time * 1e-3
        found = {
            "events_per_s": round(events / wall_s),
            "bytes_per_synapse": round((peak_rss_bytes() - before) / net.synapses, 2),
        }
        if options.weights:
            excitatory = populations["E"]
            weights = nest.GetConnections(excitatory[:SAMPLE], excitatory).get("weight")
            found["weight_mean"], found["weight_sd"] = _moments(weights)
            found |= {f"weight_{at}": _quantile(weights, at) for at in (5, 50, 95)}
        return found

    nest_kernel.run_and_report(
        options,
        populations,
        recorders,
        network=f"hpc scale={options.scale} density={options.density} static={options.static}",
        synapses=net.synapses,
        build_s=build.wall_s,
        more=more,
    )


def _neurons(net: HpcBenchmark, n: int) -> nest.NodeCollection:
    neuron = {
        "E_L": net.v_rest,
        "C_m": net.c_m,
        "tau_m": net.tau_m,
        "t_ref": net.t_ref,
        "V_th": net.v_th,
        "V_reset": net.v_reset,
        "tau_syn_ex": net.tau_syn,
        "tau_syn_in": net.tau_syn,
        "tau_minus": net.tau_minus,
        "V_m": nest.random.normal(net.v_start_mean, net.v_start_sd),
    }
    return nest.Create("iaf_psc_alpha", n, neuron)


def _connect(net: HpcBenchmark, populations: Mapping[str, nest.NodeCollection], ee: str) -> None:
    for model, weight in (("excite", net.weight_ex), ("inhibit", net.weight_in)):
        nest.CopyModel("static_synapse_hpc", model, {"weight": weight, "delay": net.delay})
    nest.SetDefaults(STDP, {"weight": net.weight_ex, "delay": net.delay, **net.stdp})
    noise = nest.Create("poisson_generator", params={"rate": net.input_rate})
    for source, indegree in (("E", net.indegree_ex), ("I", net.indegree_in)):
        rule = {"rule": "fixed_indegree", "indegree": indegree, "allow_autapses": False}
        for target, neurons in populations.items():
            static = "excite" if source == "E" else "inhibit"
            model = ee if source == target == "E" else static
            nest.Connect(populations[source], neurons, rule, model)
    for neurons in populations.values():
        nest.Connect(noise, neurons, syn_spec="excite")


def _quantile(values: list[float], percent: int) -> float:
    return round(sorted(values)[percent * len(values) // 100], 4)


def _moments(values: list[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    return mean, (sum((one - mean) ** 2 for one in values) / len(values)) ** 0.5


if __name__ == "__main__":
    main()
