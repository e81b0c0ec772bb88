"""Every synapse is what its key says: target or source, weight and delay, drawn one by one."""

import numpy as np
import numpy.typing as npt
import pytest
from decoded import DELAY, SOURCE, TARGET, WEIGHT, canonical, scales, synapses
from numba import uint64

from distsnn.counter_rng import WIRING, below, high_half, stream, word
from distsnn.jit import kernel
from distsnn.kernels import count_trees, sampling
from distsnn.network import (
    Distribution,
    Exponential,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    IafPscDelta,
    Lognormal,
    Network,
    Normal,
    Population,
    Projection,
    TruncatedNormal,
    Uniform,
    delay_bounds,
    distribution_code,
)
from distsnn.network.quanta import to_integers

SEED = 2**63 + 11
D = Population("D", 200, IafPscDelta())


@kernel
def _synapse(seed, projection, level, index, source, by_target, j, choices, weight, delay, most):
    """Return (end, weight, delay) of synapse j of a cell's source, or of a target."""
    own = stream(stream(stream(uint64(0), uint64(seed)), WIRING), projection)
    key = stream(own, level + index)
    if not by_target:
        key = stream(key, source)
    end = below(high_half(word(key, 3 * j)), choices)
    w = sampling.draw(weight[0], weight[1], weight[2], weight[3], weight[4], word(key, 3 * j + 1))
    d = sampling.draw_delay(
        delay[0], delay[1], delay[2], delay[3], delay[4], most, word(key, 3 * j + 2)
    )
    return np.int64(end), w, d


def _floats(value: float | Distribution, dt: float = 1.0) -> npt.NDArray[np.float64]:
    kind, (a, b, low, high) = distribution_code(value)
    if kind == sampling.LOGNORMAL:
        return np.array([kind, a - np.log(dt), b, low, high])
    return np.array([kind, a / dt, b / dt, low / dt, high / dt])


VALUES = {
    "normal": (Normal(-3.0, 4.0), Normal(1.5, 0.75)),
    "truncated": (TruncatedNormal(1.0, 2.0, 0.5, 3.0), TruncatedNormal(1.5, 1.0, 0.3, 4.0)),
    "lognormal": (Lognormal(0.0, 1.5), Lognormal(0.2, 0.5)),
    "uniform": (Uniform(-2.0, 1.0), Uniform(0.1, 3.0)),
    "exponential": (Exponential(4.0), Exponential(1.3)),
}
RULES = {
    "total": FixedTotalNumber(2500),
    "outdegree": FixedOutdegree(13),
    "indegree": FixedIndegree(13),
}


@pytest.mark.parametrize("values", list(VALUES))
@pytest.mark.parametrize("rule", list(RULES))
def test_synapses_are_drawn_by_their_keys(rule: str, values: str) -> None:
    weight, delay = VALUES[values]
    pre, post = D[11:171], D[20:190]
    # the first projection has no synapses: it only moves the second's number
    first = Projection(D, D, FixedIndegree(0), weight=1.0, delay=1.0, name="first")
    one = Projection(pre, post, RULES[rule], weight=weight, delay=delay)
    network = Network([D], [first, one])
    found = synapses(network, 2, seed=SEED)
    w, d = _floats(weight), _floats(delay, 0.1)
    most = delay_bounds(delay, 0.1)[1]
    k, s = scales(network).exponent["D", "delta"], scales(network).shift[1]
    rows = []

    def add(level: int, index: int, source: int, j: int, choices: int) -> None:
        by_target = level == count_trees.TARGET
        end, real, steps = _synapse(
            SEED, 1, level, index, source, by_target, j, choices, w, d, most
        )
        # by target: `end` is the source; else the target within the block
        ends = (end + 11, index + 20) if by_target else (source + 11, max(20, 64 * index) + end)
        rows.append((*ends, steps, int(to_integers(real, k, s)), 0))

    if rule == "indegree":
        for target in range(170):
            for j in range(13):
                add(count_trees.TARGET, target, 0, j, 160)
    else:
        # how many a source has in a block is the trees' affair; which ones is the keys'
        block = found[:, TARGET] // 64
        for b in range(3):
            size = min(190, 64 * b + 64) - max(20, 64 * b)
            counts = np.bincount(found[block == b][:, SOURCE] - 11, minlength=160)
            for source in np.flatnonzero(counts).tolist():
                for j in range(counts[source]):
                    add(0, b, source, j, size)
    np.testing.assert_array_equal(canonical([np.array(rows, np.int64)]), found)


def test_weights_keep_their_relative_error() -> None:
    for weight in (Normal(87.8, 8.78), Lognormal(1.0, 1.0), Uniform(-1.0, 3.0)):
        for bits in (None, 16):
            one = Projection(
                D, D, FixedTotalNumber(50_000), weight=weight, delay=1.0, weight_bits=bits
            )
            network = Network([D], [one])
            made = scales(network)
            found = synapses(network)[:, WEIGHT]
            step = 2 ** made.shift[0]
            assert np.all(found % step == 0)
            quantum = 2.0 ** made.exponent["D", "delta"]
            assert quantum * step / 2 <= weight.scale() * 2.0 ** -(bits or 10)
            assert np.mean(found) * quantum == pytest.approx(
                weight.expectation(), abs=5 * weight.deviation() / np.sqrt(50_000)
            )


def test_constants_are_rounded_to_2_to_the_minus_20() -> None:
    one = Projection(D, D, FixedTotalNumber(100), weight=0.1, delay=1.0)
    network = Network([D], [one])
    (integer,) = set(synapses(network)[:, WEIGHT].tolist())
    quantum = 2.0 ** scales(network).exponent["D", "delta"]
    assert integer * quantum == pytest.approx(0.1, rel=2.0**-20)
    assert set(synapses(network)[:, DELAY].tolist()) == {10}
