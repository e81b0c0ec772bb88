"""What generated updates do besides one call of `step`: sub-steps, chance, relays, faults."""

import numpy as np
import pytest
from campaigns import sampled
from chance import LEAST_P, p_of_counts
from kernel_calls import NeuronCall

from distsnn.kernels import emission

ONE = np.array(1.0)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("substeps", sampled([3, 1, 2, 7], 4))
@pytest.mark.parametrize("own", [False, True])
def test_parts_of_a_step_follow_each_other(substeps: int, precision: str, own: bool) -> None:
    size = 700
    one = np.ones(size) if own else ONE
    given = {"substeps": np.array(float(substeps)), "one": one}
    call = NeuronCall("halved_kernel", given, size, precision=precision)
    rng = np.random.default_rng(1)
    x = call.states["x"][:size] = rng.integers(1, 100, size)
    for loop in range(20):
        arriving = rng.integers(0, 2, size) * rng.integers(0, 10, size)
        call.rows["in"][0, :size] = arriving
        gids = call.step(loop, 256)
        spiked = arriving > 8
        for _ in range(substeps):
            x = 0.5 * x
            spiked |= x < 1.0
            x = np.where(x < 1.0, 8.0, x)
        x = x + arriving
        np.testing.assert_array_equal(gids, np.flatnonzero(spiked))
        np.testing.assert_array_equal(call.states["x"][:size], x)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_random_numbers_are_uniform_and_each_neurons_and_steps_own(precision: str) -> None:
    size, loops = 640, 200
    call = NeuronCall("chancy_kernel", {"p": np.array(0.1)}, size, precision=precision)
    u = np.empty((loops, size))
    for loop in range(loops):
        gids = call.step(loop)
        u[loop] = call.states["x"]
        np.testing.assert_array_equal(gids, np.flatnonzero(u[loop] < np.dtype(precision).type(0.1)))
    assert u.min() > 0.0
    assert u.max() <= 1.0
    assert np.unique(u).size > 0.98 * u.size
    cells = np.bincount((u * 64.0).astype(int).clip(0, 63).ravel(), minlength=64)
    assert p_of_counts(cells, np.full(64, u.size / 64)) > LEAST_P
    z = u - 0.5
    bound = 5.0 / 12.0 / np.sqrt(u.size)
    for shifted in (z[1:] * z[:-1], z[:, 1:] * z[:, :-1], z[:, 4:] * z[:, :-4]):
        assert abs(shifted.mean()) < bound


def test_random_numbers_depend_on_seed_neuron_and_loop_alone() -> None:
    def drawn(size: int, seed: int, loop: int, *cuts: int) -> np.ndarray:
        call = NeuronCall("chancy_kernel", {"p": np.array(0.1)}, size, seed=seed)
        call.step(loop, *cuts)
        return call.states["x"][:64]

    expected = drawn(64, 1, 5)
    np.testing.assert_array_equal(drawn(200, 1, 5, 64, 128), expected)
    for other in (drawn(64, 2, 5), drawn(64, 1, 6)):
        assert not (other == expected).any()


def test_relay_emits_the_given_number_of_spikes() -> None:
    call = NeuronCall("relaying_kernel", {"one": ONE}, 100, first_gid=7)
    arriving = np.zeros(100, int)
    arriving[[0, 3, 64, 99]] = 1, 5, emission.MAX_SPIKES, 2
    call.rows["in"][0, :100] = arriving
    np.testing.assert_array_equal(call.step(0), 7 + np.repeat(np.arange(100), arriving))
    assert call.counts[emission.FAULT] == 0
    assert call.step(1).size == 0


@pytest.mark.parametrize("count", [-1, emission.MAX_SPIKES + 1, 1000])
def test_a_count_that_cannot_be_relayed_is_a_fault(count: int) -> None:
    call = NeuronCall("relaying_kernel", {"one": ONE}, 100, first_gid=7)
    call.rows["in"][0, [70, 80]] = count
    assert call.step(11).size == 0
    assert call.counts.tolist() == [0, emission.NO_COUNT, 77, 11, -1]


EXP = {
    **{"C_m": 250.0, "tau_m": 10.0, "tau_syn_ex": 0.5, "tau_syn_in": 3.0, "t_ref": 2.0},
    **{"E_L": -65.0, "V_reset": -67.0, "V_th": -50.0, "I_e": 0.0},
}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize(("state", "position"), [("V_m", 0), ("I_syn_ex", 1), ("I_syn_in", 2)])
def test_what_is_no_number_is_a_fault(
    state: str, position: int, value: float, precision: str
) -> None:
    call = NeuronCall("iaf_psc_exp", EXP, 130, precision=precision, first_gid=7)
    call.step(0)
    assert call.counts[emission.FAULT] == 0
    call.states[state][[129, 70]] = value
    call.states["refractory"][:] = 5  # the potential is not made from the currents meanwhile
    assert call.step(1).size == 0
    assert call.counts.tolist() == [0, emission.NOT_FINITE, 77, 1, position]
    call.states["V_m"][3] = np.nan
    call.step(2)
    assert call.counts.tolist() == [0, emission.NOT_FINITE, 77, 1, position]


def test_finite_states_whose_sum_overflows_are_no_fault() -> None:
    call = NeuronCall("iaf_psc_exp", EXP, 130, precision="float32", first_gid=7)
    call.states["refractory"][:] = 50
    for name in ("I_syn_ex", "I_syn_in"):
        call.states[name][[70, 80]] = 3e38
    call.step(0)
    assert float(call.states["I_syn_ex"][70]) + float(call.states["I_syn_in"][70]) > 3.5e38
    assert call.counts[emission.FAULT] == 0
    call.states["I_syn_in"][80] = np.inf
    call.step(1)
    assert call.counts.tolist() == [0, emission.NOT_FINITE, 87, 1, 2]


def test_padding_is_no_fault() -> None:
    call = NeuronCall("iaf_psc_exp", EXP, 130)
    call.states["V_m"][135] = np.nan
    call.step(0)
    assert call.counts[emission.FAULT] == 0
