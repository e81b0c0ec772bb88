"""States of synapse models against their recursions in numpy, and bounds of their factors."""

import math
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special

from distsnn.kernels.source_spikes import advance
from distsnn.kernels.synapses import (
    FAULT_FACTOR,
    FAULT_RECORD,
    FAULT_STEP,
    lower_gamma,
    make_records,
    nmda_synapse,
)
from distsnn.kernels.synapses import tsodyks2_synapse as kernels
from distsnn.network import NmdaSynapse

Floats = npt.NDArray[np.float64]
X, U, SINCE = map(kernels.STATES.index, ("x", "u", "last"))


def records_of(rows: list[list[float]], largest: float = 1.0) -> Floats:
    """Return records with a header before them."""
    _, records = make_records(len(rows), len(rows[0]), largest)
    records[:] = rows
    return records


def record(first: float, tau_rec: float, tau_fac: float, last: float = 0.0) -> Floats:
    """Return the record of one source that has not spiked; time constants in steps."""
    constants = {"c_U": first, "tau_rec": tau_rec, "tau_fac": tau_fac}
    return records_of([[1.0, 0.0, last, *(constants[name] for name in kernels.CONSTANTS), 0.0]])


def factors(records: Floats, steps: list[int], model: ModuleType = kernels) -> Floats:
    found = []
    for step in steps:
        advance(model.spike.address, records, np.zeros(1, np.int64), np.array([step], np.int32))
        found.append(records[0, -1])
    return np.array(found)


def reference(first: float, tau_rec: float, tau_fac: float, steps: list[int]) -> Floats:
    x, u = 1.0, first
    found = [x * u]
    for h in np.diff(steps):
        facilitation = np.exp(-h / tau_fac) if tau_fac else 0.0
        x, u = (
            1.0 + (x - x * u - 1.0) * np.exp(-h / tau_rec),
            first + u * (1 - first) * facilitation,
        )
        found.append(x * u)
    return np.array(found)


STEPS = [3, 4, 5, 105, 205, 305, 306, 306, 2000, 100_000, 2**31 - 1]


@pytest.mark.parametrize(
    ("first", "tau_rec", "tau_fac"),
    [(0.5, 8000.0, 0.0), (0.04, 500.0, 10_000.0), (0.3, 1e-3, 1e-3), (1.0, 1e9, 300.0), (0, 1, 1)],
)
@pytest.mark.parametrize("last", [0.0, 3.0])
def test_factors_follow_the_recursion(
    first: float, tau_rec: float, tau_fac: float, last: float
) -> None:
    found = factors(record(first, tau_rec, tau_fac, last), STEPS)
    np.testing.assert_allclose(
        found, reference(first, tau_rec, tau_fac, STEPS), rtol=1e-12, atol=1e-15
    )
    # what came before the first spike does not count
    assert found[0] == first


def test_depression_and_facilitation_follow_closed_forms() -> None:
    regular = list(range(100, 1100, 100))
    assert np.all(np.diff(factors(record(0.5, 8000.0, 0.0), regular)) < 0)
    assert np.all(np.diff(factors(record(0.02, 1.0, 20_000.0), regular)) > 0)
    recovered = factors(record(0.5, 80.0, 0.0), [1, 100_000])
    np.testing.assert_allclose(recovered, 0.5, rtol=1e-15)


def test_factors_never_leave_0_to_1() -> None:
    draw = np.random.default_rng(3)
    for _ in range(200):
        first = draw.choice([draw.random(), 10.0 ** draw.uniform(-300, 0), 1.0, 0.1])
        times = 10.0 ** draw.uniform(-5, 8, 2)
        steps = np.cumsum(draw.integers(0, 10 ** draw.integers(1, 7), 60))
        found = factors(record(first, *times), steps.tolist())
        assert found.min() >= 0.0
        assert found.max() <= 1.0


@pytest.mark.parametrize("model", ["tsodyks2", "tsodyks2 without facilitation", "nmda"])
def test_updating_a_source_record_in_between_gives_the_same_factors(model: str) -> None:
    row = record(0.3, 70.0, 0.0 if "without" in model else 90.0)
    module: ModuleType = kernels
    if model == "nmda":
        module, row = nmda_synapse, records_of([[0.0, 0.0, 300.0, 0.4, -0.3, 0.0]])
    whole, parts = (records_of(row.tolist()) for _ in range(2))
    since = module.STATES.index("last")
    steps = [3, 40, 41, 130, 900]
    expected = factors(whole, steps, module)
    found = []
    for step in steps:
        for between in (step - 1, step):
            module.bring_up(parts, max(between, int(parts[0, since])))
        found.append(factors(parts, [step], module)[0])
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert np.unique(expected).size == len(steps)


def test_sources_do_not_touch_each_other() -> None:
    rows = np.concatenate([record(0.5, 800.0, 0.0), record(0.1, 100.0, 900.0)])
    records = records_of(rows.tolist())
    untouched = records[0].copy()
    spikes = np.array([1, 1, 1]), np.array([5, 9, 400], np.int32)
    advance(kernels.spike.address, records, *spikes)
    np.testing.assert_array_equal(records[0], untouched)
    expected = reference(0.1, 100.0, 900.0, [5, 9, 400])[-1]
    assert records[1, -1] == pytest.approx(expected, rel=1e-14)
    u = records[1, U]
    assert records[1, X] == pytest.approx(expected / u * (1.0 - u), rel=1e-14)
    assert records[1, SINCE] == 400


def test_a_factor_that_is_not_allowed_is_noted_and_adds_nothing() -> None:
    rows = [record(first, 800.0, 0.0)[0].tolist() for first in (0.5, 1.5, np.nan, 2.5)]
    header, records = make_records(4, len(rows[0]), 1.0)
    records[:] = rows
    for source, step in ((0, 3), (2, 4), (1, 5), (3, 6)):
        advance(kernels.spike.address, records, np.array([source]), np.array([step], np.int32))
    np.testing.assert_array_equal(records[:, -1], [0.5, 0.0, 0.0, 0.0])
    # the first of them
    assert header[FAULT_STEP] == 4
    assert header[FAULT_RECORD] == 2 * records.shape[1]
    assert np.isnan(header[FAULT_FACTOR])


def gating(alpha: float, tau_rise: float, tau_decay: float, steps: list[int]) -> Floats:
    """Return the jumps of NMDA gating, with the gamma function as a sum of rectangles."""
    x, r = alpha * tau_rise, tau_rise / tau_decay
    # with t = u^(1/(1 - r)) nothing is infinite at 0
    edges = np.linspace(0.0, x ** (1.0 - r), 200_001)
    middle = (edges[1:] + edges[:-1]) / 2.0
    gamma = np.mean(np.exp(-(middle ** (1.0 / (1.0 - r))))) * edges[-1] / (1.0 - r)
    s, found = 0.0, []
    for h in np.diff([0, *steps]):
        s *= math.exp(-h * 0.1 / tau_decay)
        found.append(x**r * gamma + math.expm1(-x) * s)
        s += found[-1]
    return np.array(found)


@pytest.mark.parametrize(
    "values", [(0.5, 2.0, 100.0), (0.05, 5.0, 20.0), (3.0, 8.0, 8.5), (20.0, 4.9, 300.0)]
)
def test_jumps_of_nmda_gating_follow_the_recursion(values: tuple[float, float, float]) -> None:
    names = ("alpha", "tau_rise", "tau_decay")
    given = {name: np.array([value]) for name, value in zip(names, values, strict=True)}
    constants = nmda_synapse.constants(given, 0.1)
    row = [0.0, 0.0, *(constants[name][0] for name in nmda_synapse.CONSTANTS), 0.0]
    steps = [3, 4, 5, 105, 205, 305, 306, 306, 2000, 100_000]
    model = NmdaSynapse(**given)
    found = factors(records_of([row], model.max_factor()), steps, nmda_synapse)
    np.testing.assert_allclose(found, gating(*values, steps), rtol=1e-7, atol=1e-12)
    assert found.min() > -1e-15 and found.max() == found[0]
    # the bound wastes few bits of the input
    assert found[0] * (1.0 - 1e-12) < model.max_factor() < 2.0 * found[0]


def test_the_gamma_function_is_scipy_s_and_does_not_depend_on_other_elements() -> None:
    a, x = (
        grid.ravel() for grid in np.meshgrid([0.01, 0.5, 0.98, 3.0, 40.0], [1e-6, 0.1, 7.0, 500])
    )
    every = lower_gamma(a, x)
    np.testing.assert_allclose(every, special.gammainc(a, x) * special.gamma(a), rtol=1e-12)
    np.testing.assert_array_equal(every, [lower_gamma(*pair) for pair in zip(a, x, strict=True)])
    assert lower_gamma(0.5, 0.0) == 0.0
    assert np.isnan(lower_gamma([0.0, -1.0, 0.5, 0.5, np.nan], [1.0, 1.0, -1.0, 601.0, 1.0])).all()
