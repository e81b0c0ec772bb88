"""Sines beside NEST: a neuron's potential under alternating currents."""

import numpy as np
import pytest
from test_coming_from_nest import answer

from distsnn.io.reader import StoreReader
from distsnn.network import IafPscExp, Network, Population, RecordState, SineCurrent
from distsnn.simulation import Simulation

AMPLITUDE, FREQUENCY = [300.0, -120.0, 250.0], [8.0, 41.7, 2500.0]
PHASE, OFFSET = [0.0, 200.0, -77.0], [0.0, 90.0, -30.0]
START, STOP, END = 3.0, 800.0, 1000.0


@pytest.mark.parametrize("delay", [0.1, 0.7])
def test_potential_under_alternating_currents(delay: float, nest_python: str, tmp_path) -> None:
    theirs = answer(
        nest_python,
        f"""
generators = nest.Create("ac_generator", 3, params={{
    "amplitude": {AMPLITUDE}, "frequency": {FREQUENCY}, "phase": {PHASE}, "offset": {OFFSET},
    "start": {START}, "stop": {STOP}}})
neurons = nest.Create("iaf_psc_exp", 3, params={{"V_th": 1e9}})
nest.Connect(generators, neurons, "one_to_one", syn_spec={{"delay": {delay}}})
meters = nest.Create("multimeter", 3, params={{"record_from": ["V_m"], "interval": 0.1}})
nest.Connect(meters, neurons, "one_to_one")
nest.Simulate({END + 10.0})
print(json.dumps([list(one.events["V_m"]) for one in meters]))
""",
    )
    cells = Population("C", 3, IafPscExp(V_th=1e9), {"V_m": -70.0}, precision="float64")
    phase = np.array(PHASE) - 0.36 * np.array(FREQUENCY) * delay
    window = {"start": START + delay, "stop": STOP + delay}
    current = SineCurrent(cells, AMPLITUDE, FREQUENCY, phase, OFFSET, **window)
    path = tmp_path / "run.zarr"
    records = [RecordState(cells, "V_m", every=0.1)]
    with Simulation(Network([cells], [], [current], records), out=path) as simulation:
        simulation.run(END)
    ours = StoreReader(path).state("C").variables["V_m"][:, :]
    expected = np.array(theirs)[:, : len(ours)].T
    assert np.ptp(expected, axis=0).min() > 0.1
    difference = np.abs(ours - expected).max()
    print(f"largest difference {difference:.2g} mV")
    assert difference < 1e-8
