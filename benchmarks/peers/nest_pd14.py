#!/usr/bin/env python3
"""The microcircuit of Potjans & Diesmann (2014) in NEST; prints one line of JSON."""

import math

import nest_kernel
from measure import measured
from nest_kernel import nest
from parameters import DT, Connection, Microcircuit

# NEST refuses more than 2^27 connections per thread and synapse model.
MAX_PER_MODEL = 1.2e8


def connect(
    net: Microcircuit, connection: Connection, populations: list[nest.NodeCollection], model: str
) -> None:
    """Draw one projection: normal weights of one sign, normal delays above half a step."""
    weight, delay = connection.weight, connection.delay
    low, high = (0.0, math.inf) if weight > 0 else (-math.inf, 0.0)
    nest.Connect(
        populations[connection.source],
        populations[connection.target],
        {"rule": "fixed_total_number", "N": connection.n},
        {
            "synapse_model": model,
            "weight": nest.math.redraw(
                nest.random.normal(weight, net.relative_sd_weight * abs(weight)), low, high
            ),
            "delay": nest.math.redraw(
                nest.random.normal(delay, net.relative_sd_delay * delay), DT / 2, math.inf
            ),
        },
    )


def main() -> None:
    """Build and run it."""
    parser = nest_kernel.parser(__doc__, warmup=500.0)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--input", choices=("poisson", "dc"), default="poisson")
    options = parser.parse_args()
    net = Microcircuit(options.scale, poisson=options.input == "poisson")
    nest_kernel.reset(options)
    with measured() as build:
        populations = [
            nest.Create(
                "iaf_psc_exp",
                size,
                {
                    "C_m": net.c_m,
                    "tau_m": net.tau_m,
                    "t_ref": net.t_ref,
                    "E_L": net.e_l,
                    "V_reset": net.v_reset,
                    "V_th": net.v_th,
                    "tau_syn_ex": net.tau_syn,
                    "tau_syn_in": net.tau_syn,
                    "I_e": current,
                    "V_m": nest.random.normal(mean, sd),
                },
            )
            for size, current, mean, sd in zip(
                net.sizes, net.currents, net.v_start_mean, net.v_start_sd, strict=True
            )
        ]
        models = ["static_synapse"] * 8
        if net.synapses / options.threads > MAX_PER_MODEL:
            models = [f"static_synapse_layer{target // 2}" for target in range(8)]
            for model in sorted(set(models)):
                nest.CopyModel("static_synapse", model)
        for connection in net.connections:
            connect(net, connection, populations, models[connection.target])
        if net.poisson:
            synapse = {"weight": net.external_weight, "delay": net.external_delay}
            for population, rate in zip(populations, net.external_rates, strict=True):
                noise = nest.Create("poisson_generator", params={"rate": rate})
                nest.Connect(noise, population, "all_to_all", synapse)
        named = dict(zip(net.names, populations, strict=True))
        recorders = nest_kernel.prepare(options, named)
    nest_kernel.run_and_report(
        options,
        named,
        recorders,
        network=f"pd14 scale={options.scale:g} input={options.input}",
        synapses=net.synapses,
        build_s=build.wall_s,
    )


if __name__ == "__main__":
    main()
