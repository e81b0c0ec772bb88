"""A small network for the tests of simulations, with everything that goes on between pieces."""

import numpy as np
import pytest

from distsnn.network import (
    FixedIndegree,
    IafPscExp,
    Network,
    NoiseCurrent,
    Normal,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    SpikeSource,
    Uniform,
)


def make_network(smallest_delay: float = 2.5) -> Network:
    """Return a network whose epochs are long, with recordings at intervals that divide nothing."""
    e = Population("E", 150, IafPscExp(), {"V_m": Normal(-60.0, 4.0)})
    i = Population("I", 40, IafPscExp(), {"V_m": Normal(-60.0, 4.0)}, precision="float64")
    times = np.arange(1, 200) * 0.7
    source = Population("S", 7, SpikeSource(times, np.arange(times.size) % 7))
    delay = Uniform(smallest_delay, smallest_delay + 4.0)
    return Network(
        [e, i, source],
        [
            Projection(e, e, FixedIndegree(15), weight=Normal(60.0, 6.0), delay=smallest_delay),
            Projection(e, i, FixedIndegree(15), weight=60.0, delay=smallest_delay),
            Projection(i, e, FixedIndegree(10), weight=-150.0, delay=delay),
            Projection(source, e, FixedIndegree(2), weight=200.0, delay=smallest_delay),
        ],
        [
            PoissonInput(e, 6000.0, 40.0),
            PoissonInput(i, 6000.0, 40.0),
            NoiseCurrent(e[10:60], 10.0, 30.0, interval=0.7),
        ],
        [
            RecordSpikes(e),
            RecordSpikes(i[5:20]),
            RecordSpikes(source),
            RecordState(e[3:9], ["V_m", "I_syn_in", "refractory"], interval=0.3),
            RecordState(i, "V_m"),
        ],
    )


@pytest.fixture(scope="session")
def network() -> Network:
    return make_network()
