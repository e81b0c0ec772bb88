"""parrot_neuron spike for spike beside NEST, and neurons that spike by chance by statistics."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.network import (
    ConnectionList,
    GifCondExp,
    GifPscExp,
    IafPscDelta,
    Network,
    Neuron,
    ParrotNeuron,
    Population,
    PpPscDelta,
    Projection,
    RecordSpikes,
    SpikeSource,
    pp_psc_delta_random,
)
from distsnn.simulation import Simulation

RunNest = Callable[..., dict[str, np.ndarray]]
DT = 0.1
FIELDS = ("source", "target", "weight", "delay")


def spikes_of(network: Network, steps: int, path: str) -> tuple[np.ndarray, np.ndarray]:
    with Simulation(network, out=path, communicator=SingleProcess(), seed=3) as simulation:
        simulation.run(steps * DT)
    step, gid = StoreReader(path).spikes(0, steps)
    return step.astype(np.int64), gid.astype(np.int64)


def test_parrots_relay_every_spike_on_nests_step(run_nest: RunNest, tmp_path: object) -> None:
    n, n_sources, steps = 100, 40, 5000
    random = np.random.default_rng(12)
    step, source = np.nonzero(random.random((steps - 100, n_sources)) < 0.01)
    # parrots to parrots of the next layer and to integrating cells, all in pairs of synapses of one
    # delay: two spikes in one step
    pre = np.repeat(np.append(random.integers(0, 25, 50), random.integers(0, 50, 250)), 2)
    post = np.repeat(np.append(random.integers(25, 50, 50), random.integers(50, 100, 250)), 2)
    delay = np.repeat(random.integers(1, 30, 300), 2)
    into = (
        random.integers(0, n_sources, 120),
        random.integers(0, 50, 120),
        np.ones(120),
        random.integers(1, 40, 120),
    )
    weight = np.where(post < 50, 1.0, 2.5)
    theirs = run_nest(
        {
            "steps": steps,
            "populations": [
                {"model": "parrot_neuron", "size": 50, "parameters": {}},
                {"model": "iaf_psc_delta", "size": 50, "parameters": {}},
            ],
        },
        train_source=source.astype(np.int64),
        train_step=step.astype(np.int64) + 1,
        **{f"input_{name}": column for name, column in zip(FIELDS, into, strict=True)},
        **{"edge_source": pre, "edge_target": post, "edge_weight": weight, "edge_delay": delay},
    )  # fmt: skip
    parrots = Population("parrots", 50, ParrotNeuron())
    cells = Population("cells", n - 50, IafPscDelta(), precision="float64")
    sources = Population("sources", n_sources, SpikeSource((step + 1) * DT, source))
    relayed = post < 50
    projections = [
        Projection(sources, parrots, ConnectionList(*into[:2]), weight=into[2], delay=into[3] * DT),
        *(
            Projection(
                parrots, to, ConnectionList(pre[some], post[some] - first),
                weight=weight[some], delay=delay[some] * DT,
            )
            for to, some, first in ((parrots, relayed, 0), (cells, ~relayed, 50))
        ),
    ]  # fmt: skip
    recordings = [RecordSpikes(parrots), RecordSpikes(cells)]
    network = Network([parrots, cells, sources], projections, recordings=recordings)
    found, gid = spikes_of(network, steps, f"{tmp_path}/run.zarr")
    assert np.count_nonzero(gid >= 50) > 500
    # some emit several spikes in a step
    assert np.unique(found * n + gid).size < 0.8 * found.size
    np.testing.assert_array_equal(found, theirs["spike_step"])
    np.testing.assert_array_equal(gid, theirs["spike_neuron"])


def statistics(step: np.ndarray, neuron: np.ndarray, n: int) -> dict[str, np.ndarray]:
    """Return of each neuron: spikes in the first 100 ms and after 1 s, and its intervals' CV."""
    order = np.lexsort((step, neuron))
    step, neuron = step[order], neuron[order]
    late = step > 10_000
    intervals, whose = np.diff(step[late]), neuron[late][1:]
    same = np.diff(neuron[late]) == 0
    intervals, whose = intervals[same], whose[same]
    count = np.bincount(whose, minlength=n)
    mean = np.bincount(whose, intervals, n) / count
    square = np.bincount(whose, intervals.astype(float) ** 2, n) / count
    return {
        "early": np.bincount(neuron[step <= 1000], minlength=n),
        "late": np.bincount(neuron[late], minlength=n),
        "CV": np.sqrt(square - mean**2) / mean,
    }


GIF = {"I_e": 100.0, "V_T_star": -50.0, "Delta_V": 4.0, "lambda_0": 20.0}
SFA = {"tau_sfa": [30.0, 400.0], "q_sfa": [5.0, 1.5]}
STC = {"tau_stc": [100.0], "q_stc": [8.0]}
Values = dict[str, float]
Chance = tuple[Callable[..., Neuron], Values, dict[str, list[float]], tuple[float, float], Values]
# a model, its parameters, those that are lists in NEST, its input's weights, parameters of NEST's
CHANCE: dict[str, Chance] = {
    "gif_psc_exp": (GifPscExp, GIF, SFA | STC, (0.0, 0.0), {}),
    "gif_cond_exp": (GifCondExp, GIF, SFA | STC, (1.0, -1.0), {}),
    "pp_psc_delta": (PpPscDelta, {"I_e": 250.0, "c_1": 1.0, "c_2": 4.0}, SFA, (1.0, -1.0), {}),
    # as NEST's, that draws a number of spikes, while they are few
    "pp_psc_delta, no dead time": (
        PpPscDelta,
        {"I_e": 250.0, "c_1": 1.0, "c_2": 4.0, "dead_time": 0.0},
        SFA,
        (1.0, -1.0),
        {},
    ),
    "pp_psc_delta, random dead time": (
        partial(pp_psc_delta_random, 3),
        {"I_e": 250.0, "c_2": 50.0, "c_3": 0.05, "dead_time": 20.0},
        SFA,
        (1.0, -1.0),
        {"dead_time_random": True, "dead_time_shape": 3},
    ),
}


@pytest.mark.parametrize("name", CHANCE)
def test_rates_adaptation_and_irregularity_are_nests(
    name: str, run_nest: RunNest, tmp_path: object
) -> None:
    n, steps, sources = 400, 40_000, 50
    neuron, common, lists, weights, more = CHANCE[name]
    parameters: dict[str, Any] = common | lists | more
    random = np.random.default_rng(9)
    step, source = np.nonzero(random.random((steps, sources)) < 0.002)
    into = (
        np.tile(random.integers(0, sources, 10), n),
        np.repeat(np.arange(n), 10),
        np.tile(np.repeat(weights, [7, 3]), n),
        np.full(10 * n, 15),
    )
    result = run_nest(
        {
            "steps": steps,
            "populations": [{"model": name.partition(",")[0], "size": n, "parameters": parameters}],
        },
        train_source=source.astype(np.int64),
        train_step=step.astype(np.int64) + 1,
        **{f"input_{key}": column for key, column in zip(FIELDS, into, strict=True)},
    )
    adaptation = {f"{key}_{j}": x for key, xs in lists.items() for j, x in enumerate(xs, 1)}
    model = neuron(**common, **adaptation)
    cells = Population("cells", n, model)
    given = Population("sources", sources, SpikeSource((step + 1) * DT, source))
    edges = ConnectionList(*into[:2])
    inputs = [Projection(given, cells, edges, weight=into[2], delay=into[3] * DT)]
    network = Network([cells, given], inputs, recordings=[RecordSpikes(cells)])
    ours = statistics(*spikes_of(network, steps, f"{tmp_path}/run.zarr"), n)
    theirs = statistics(result["spike_step"], result["spike_neuron"], n)
    for what in ours:
        a, b = ours[what], theirs[what]
        error = np.sqrt((a.var() + b.var()) / n)
        print(f"{name}, {what}: {a.mean():.4g}, NEST {b.mean():.4g} +- {error:.2g}")
        assert abs(a.mean() - b.mean()) < 4.0 * error, what
        # the spread over neurons too; that of a variance is about its own size sqrt(2/n)
        assert abs(np.log(a.var() / b.var())) < 4.0 * np.sqrt(4.0 / n), what
    assert ours["early"].mean() * 10 > 1.3 * ours["late"].mean() / 3
    assert 0.1 < ours["CV"].mean() < 0.9
