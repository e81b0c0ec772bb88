"""Descriptions of plastic synapses: what is refused, and where it is said to be."""

from collections.abc import Callable

import numpy as np
import pytest
from rewarded import Rewarded

from distsnn.errors import DescriptionError
from distsnn.network import (
    BCM,
    STDP,
    AllToAll,
    ClopathSTDP,
    FixedIndegree,
    IafPscExp,
    Lognormal,
    Network,
    Normal,
    Oja,
    PlasticSynapse,
    Population,
    Projection,
    STDPPowerLaw,
    Uniform,
)
from distsnn.network.quanta import choose_quanta

E = Population("E", 20, IafPscExp())
ALL = np.full((20, 20), 10.0)


def network(synapse: PlasticSynapse, weight: object = 10.0, delay: object = 1.0) -> Network:
    made = Projection(E, E, AllToAll(), weight, delay, synapse=synapse)  # type: ignore[arg-type]
    return Network([E], [made])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: STDP(w_max=0.0), "stdp_synapse, field w_max: must be a bound with the sign"),
        (lambda: STDP(w_max=np.nan), "field w_max: must be a bound with the sign of the weights"),
        (lambda: STDP(precision="half"), "field precision: unknown precision 'half'"),
        (lambda: STDP(pairing="neares"), "unknown pairing 'neares'; allowed: all_to_all, nearest"),
        (lambda: STDP(axonal_delay=-1.0), "field axonal_delay: out of range; given -1.0"),
        (lambda: network(STDP(tau_plus=0.0)), "field synapse, field tau_plus: out of range"),
        (lambda: network(STDP(tau_plus=Uniform(1.0, 2.0))), "must be one number for all synapses"),
        (lambda: network(STDP(alpha=[1.0, 2.0])), "alpha: array of the wrong shape; given (2,)"),
        (lambda: network(STDP(tau_plus=np.ones((20, 20)))), "must be one number for all synapses"),
        (lambda: network(STDP(w_max=[9.0, -9.0])), "finite numbers of one sign, none of them 0"),
        (lambda: network(STDP(w_max=[9.0, np.inf])), "finite numbers of one sign, none of them 0"),
        (lambda: network(STDP(w_max=Normal(9.0, 3.0))), "field w_max: must be a bound with the"),
        (lambda: network(STDP(w_max=[9.0, 10.0])), "field w_max: array of the wrong shape"),
        (lambda: network(STDP(w_max=Uniform(9.0, 20.0))), "given 10.0; allowed: >= 0 and <= 9"),
        (
            lambda: network(STDP(w_max=np.linspace(9.0, 20.0, 400).reshape(20, 20)), ALL),
            "field weight: is beyond its bound; given 10.0; allowed: at most 9, its w_max",
        ),
        (
            lambda: Projection(E, E, FixedIndegree(3), 1.0, 1.0, synapse=STDP(alpha=[1.0])).check(
                E.model, 0.1, where="p"
            ),
            "p, field synapse, field alpha: such synapses take no array; allowed: a number or a",
        ),
        (lambda: network(STDP(), -1.0), "'E->E', field weight: out of range; given -1.0"),
        (lambda: network(STDP(), 100.5), "field weight: out of range; given 100.5"),
        (lambda: network(STDP(w_max=-9.0)), "given 10.0; allowed: >= -9 and <= 0"),
        (lambda: network(STDP(), Normal(5.0, 1.0)), "draws would fall out of range"),
        (lambda: network(STDP(axonal_delay=1.0)), "synapse.axonal_delay: must be shorter than"),
        (
            lambda: network(STDP(axonal_delay=0.5), delay=Uniform(0.2, 3.0)),
            "axonal_delay: must be shorter than all delays; given 0.5; allowed: 0 to 0.1 ms",
        ),
        (lambda: network(STDP(axonal_delay=0.55)), "axonal_delay: time is not on the grid"),
        (
            lambda: network(Rewarded(modulator="A")),
            "field synapse.modulator: unknown population 'A'",
        ),
        (lambda: network(Rewarded(modulation_delay=0.0)), "modulation_delay: out of range"),
        (lambda: Rewarded(modulator=3), "field modulator: must be a population's name"),
        (
            lambda: network(ClopathSTDP()),
            "field synapse: clopath_synapse follows the state u_bar_bar of its target",
        ),
        (
            lambda: ClopathSTDP(w_min=100.0),
            "field w_min: must be nearer to 0 than w_max; given 100.0; allowed: >= 0 and < 100",
        ),
        (lambda: STDP(w_min=-1.0), "stdp_synapse, field w_min: out of range; given -1.0"),
        (lambda: Oja(w_max=-9.0, w_min=1.0), "field w_min: out of range; given 1.0; allowed: <= 0"),
        (lambda: BCM(w_max=9.0, w_min=np.inf), "field w_min: must be finite; given inf"),
        (lambda: STDP(w_min=Uniform(-1.0, 1.0)), "field w_min: draws would fall out of range"),
        (
            lambda: STDP(w_max=Uniform(4.0, 9.0), w_min=Uniform(1.0, 5.0)),
            "field w_min: must be nearer to 0 than w_max; given 5.0; allowed: >= 0 and < 4",
        ),
        (
            lambda: STDP(w_max=[2.0, -9.0], w_min=[1.0, 2.0]),
            "field w_max: must be a bound with the sign",
        ),
        (
            lambda: STDP(w_max=[-2.0, -9.0], w_min=[-1.0, -9.0]),
            "field w_min: must be nearer to 0 than w_max; given -9.0; allowed: > -9 and <= 0",
        ),
        (lambda: network(STDP(w_min=20.0)), "given 10.0; allowed: >= 20 and <= 100"),
        (
            lambda: network(STDP(w_min=np.linspace(9.0, 20.0, 400).reshape(20, 20)), ALL),
            "field weight: is beyond its bound; given 10.0; allowed: at least 10.0",
        ),
        (lambda: network(STDP(w_min=[1.0])), "field w_min: array of the wrong shape; given (1,)"),
        (
            lambda: network(ClopathSTDP(delay_u_bars=0.55)),
            "field synapse.delay_u_bars: time is not on the grid",
        ),
    ],
)
def test_errors_name_the_place(make: Callable[[], object], message: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        make()
    assert message in str(caught.value)


def test_stores_from_before_there_was_a_lower_bound_hold_the_same_description() -> None:
    for made, written in ((STDP(), False), (STDP(w_min=2.0), True), (Oja(w_min=0.0), False)):
        description, arrays = network(made).to_dict()
        one = description["network"]["fields"]["projections"][0]
        assert ("w_min" in one["fields"]["synapse"]["fields"]) == written
        assert Network.from_dict(description, arrays).equal(network(made))


def test_arrays_by_synapse_are_stored_and_read_again() -> None:
    given = STDP(
        w_max=2.0 * ALL, learning_rate=0.001 * ALL, alpha=Uniform(0.0, 1.0), w_min=0.5 * ALL
    )
    made = network(given, ALL)
    again = Network.from_dict(*made.to_dict())
    assert again.equal(made)
    model = again.projections[0].plasticity_rule
    assert model is not None
    assert (model.sign, model.max_magnitude, model.weight_range.high) == (1, 20.0, 20.0)
    assert (model.min_magnitude, model.weight_range.low) == (5.0, 5.0)
    negative = STDP(w_max=Uniform(-30.0, -10.0), w_min=Uniform(-5.0, -3.0))
    assert (negative.sign, negative.max_magnitude, negative.weight_range.low) == (-1, 30.0, -10.0)
    assert (negative.min_magnitude, negative.weight_range.high) == (3.0, -5.0)


def test_stored_and_read_again() -> None:
    made = network(Rewarded(modulator="E", w_max=np.inf, precision="float64"))
    again = Network.from_dict(*made.to_dict())
    assert again.equal(made)
    assert again.projections[0].plasticity_rule == made.projections[0].synapse
    assert again.projections[0].scaling_model is None


def test_quanta_leave_room_for_the_bound() -> None:
    low, high = (choose_quanta(network(STDP(w_max=bound), 10.0)) for bound in (10.0, 1000.0))
    none = choose_quanta(network(STDPPowerLaw(w_max=np.inf), 10.0))
    assert low.bound["E", "ex"] == 20 * 10.0 * 2.0**16
    assert high.bound["E", "ex"] == 20 * 1000.0 / high.quantum("E", "ex")
    assert none.exponent["E", "ex"] >= low.exponent["E", "ex"]
    drawn = choose_quanta(network(STDPPowerLaw(w_max=np.inf), Lognormal(2.0, 0.5)))
    assert drawn.shift == (0,)


def test_small_first_weights_act_with_their_own_value() -> None:
    # a bound far above the first weights leaves room for few bits
    for bound, exponent in ((1e8, -13), (1e13, -13), (np.inf, -14)):
        rule = STDP(w_max=bound) if np.isfinite(bound) else STDPPowerLaw(w_max=bound)
        made = network(rule, Lognormal(0.0, 2.0))
        assert choose_quanta(made).exponent["E", "ex"] == exponent
        error = choose_quanta(made).errors[made.projections[0].name]
        assert error.share <= 1 / 8
        assert error.part <= 2.0**-8
