#!/usr/bin/env python3
"""Benchmarks 1 and 2 of Brette et al. (2007) in Brian2; prints one line of JSON."""

import brian2_standalone
import numpy as np
from brian2 import Hz, NeuronGroup, PoissonGroup, Synapses, ms, mV
from measure import measured
from parameters import BretteCoba, BretteCuba

# Currents are written as the voltage that they would reach, conductances relative to the leak.
CURRENTS = """
dv/dt = (e_l - v + g_ex + g_in) / tau_m : volt (unless refractory)
dg_ex/dt = -g_ex / tau_ex : volt
dg_in/dt = -g_in / tau_in : volt
"""
CONDUCTANCES = """
dv/dt = (e_l - v + g_ex * (e_ex - v) + g_in * (e_in - v)) / tau_m : volt (unless refractory)
dg_ex/dt = -g_ex / tau_ex : 1
dg_in/dt = -g_in / tau_in : 1
"""


def main() -> None:
    """Build and run it."""
    parser = brian2_standalone.parser(__doc__, warmup=200.0)
    parser.add_argument("--synapses", choices=("coba", "cuba"), required=True)
    parser.add_argument("--neurons", type=int, default=4000)
    options = parser.parse_args()
    currents = options.synapses == "cuba"
    net = BretteCuba(options.neurons) if currents else BretteCoba(options.neurons)
    # what a weight of 1 adds to g_ex or g_in
    unit = net.tau_m / net.c_m * mV if isinstance(net, BretteCuba) else 1.0 / net.g_l
    reversal = {} if currents else {"e_ex": net.e_ex * mV, "e_in": net.e_in * mV}
    folder = brian2_standalone.reset(options)
    with measured() as describing:
        neurons = NeuronGroup(
            net.neurons,
            CURRENTS if currents else CONDUCTANCES,
            threshold="v > v_th",
            reset="v = v_reset",
            refractory=net.t_ref * ms,
            method="exact" if currents else "exponential_euler",
            namespace={
                "e_l": net.e_l * mV,
                "v_th": net.v_th * mV,
                "v_reset": net.v_reset * mV,
                "tau_m": net.tau_m * ms,
                "tau_ex": net.tau_syn_ex * ms,
                "tau_in": net.tau_syn_in * ms,
                "low": net.v_start[0] * mV,
                "high": net.v_start[1] * mV,
                **reversal,
            },
        )
        neurons.v = "low + (high - low) * rand()"
        populations = {"E": neurons[: net.n_ex], "I": neurons[net.n_ex :]}
        generator = np.random.default_rng(options.seed)
        objects = [neurons]
        for name, variable, indegree, weight in (
            ("E", "g_ex", net.indegree_ex, net.weight_ex),
            ("I", "g_in", net.indegree_in, net.weight_in),
        ):
            synapses = Synapses(
                populations[name],
                neurons,
                on_pre=f"{variable}_post += weight",
                delay=net.delay * ms,
                namespace={"weight": weight * unit},
            )
            brian2_standalone.connect_fixed_indegree(synapses, indegree, generator)
            objects.append(synapses)
        if net.n_stimulated:
            stimulus = PoissonGroup(
                net.n_stimulated,
                "rate * int(t >= start) * int(t < stop)",
                namespace={
                    "rate": net.stimulus_rate * Hz,
                    "start": net.stimulus_start * ms,
                    "stop": net.stimulus_stop * ms,
                },
            )
            kick = Synapses(
                stimulus,
                neurons[: net.n_stimulated],
                on_pre="g_ex_post += weight",
                delay=net.delay * ms,
                namespace={"weight": net.weight_ex * unit},
            )
            kick.connect(j="i")
            objects += [stimulus, kick]
    brian2_standalone.run_and_report(
        options,
        folder,
        objects,
        populations,
        network=f"brette_{options.synapses} neurons={net.neurons}",
        synapses=net.synapses,
        describe_s=describing.wall_s,
    )


if __name__ == "__main__":
    main()
