"""A first network in fifty lines: describe, simulate and analyse it.

``python -m distsnn.examples.tutorial`` simulates one second, prints the populations' rates and
draws ``tutorial.png``; ``distsnn run tutorial --time 1000 --out tutorial.zarr`` runs the same
network on the command line.
"""

from distsnn import (
    FixedIndegree,
    IafPscExp,
    Network,
    Normal,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    simulate,
)


def build(excitatory: int = 800, inhibitory: int = 200, weight: float = 80.0) -> Network:
    """Return a small balanced network.

    Parameters
    ----------
    excitatory, inhibitory : int
        Number of neurons.
    weight : float
        Mean excitatory weight, pA; inhibitory weights are -10 times as large.

    Returns
    -------
    Network
        Two populations, each neuron with 80 excitatory and 20 inhibitory sources.
    """
    # Populations: neurons of one model. Other parameters have NEST's defaults. Potentials start at
    # random values, otherwise all neurons would spike at the same time.
    neuron = IafPscExp(tau_m=20.0)
    start = {"V_m": Normal(-60.0, 3.0)}
    e = Population("E", excitatory, neuron, start)
    i = Population("I", inhibitory, neuron, start)

    # Projections: a connection rule selects pairs of neurons; weights (pA) and delays (ms) are
    # numbers, arrays or distributions.
    drawn = Normal(weight, 0.1 * weight)
    projections = [
        Projection(e, e, FixedIndegree(80), weight=drawn, delay=1.5),
        Projection(e, i, FixedIndegree(80), weight=drawn, delay=1.5),
        Projection(i, e, FixedIndegree(20), weight=-10.0 * weight, delay=0.8),
        Projection(i, i, FixedIndegree(20), weight=-10.0 * weight, delay=0.8),
    ]

    # Stimuli: each neuron receives an independent Poisson spike train.
    stimuli = [PoissonInput(e, 2000.0, weight), PoissonInput(i, 2000.0, weight)]

    # Recordings: all spikes, and the potentials of five neurons every millisecond.
    traces = RecordState(e[0:5], "V_m", interval=1.0)
    return Network([e, i], projections, stimuli, [RecordSpikes(e), RecordSpikes(i), traces])


def main() -> None:
    """Simulate one second of the network, print its rates and draw its spikes."""
    # With ranks=2, two processes simulate the same spikes.
    summary = simulate(build(), 1000.0, out="tutorial.zarr", seed=1, overwrite=True)
    print(f"{summary.spikes} spikes, {summary.real_time_factor:.2f} times real time")

    # The run store opens as lazy tables: Dask loads data when they are needed.
    from distsnn.analysis import open_run, raster  # needs the extra `analysis`

    run = open_run("tutorial.zarr")
    print(run.rates(start=200.0).groupby("population").mean().to_series())
    raster(run, start=200.0, stop=500.0).savefig("tutorial.png", dpi=150)


if __name__ == "__main__":
    main()
