"""The network as a whole: gids, names, bad input, storing and blocks."""

import json
import math
import pickle

import numpy as np
import pytest

from distsnn.errors import DescriptionError
from distsnn.network import (
    AllToAll,
    ConnectionList,
    ConstantCurrent,
    Exponential,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    GammaInput,
    IafPscDelta,
    IafPscExp,
    Lognormal,
    Network,
    NoiseCurrent,
    Normal,
    OneToOne,
    PairwiseBernoulli,
    Piecewise,
    PoissonInput,
    Population,
    PopulationView,
    Projection,
    RecordSpikes,
    RecordState,
    Sine,
    SineCurrent,
    SpikeInput,
    SpikeSource,
    StepCurrent,
    TruncatedNormal,
    Tsodyks2,
    Uniform,
)
from distsnn.network.blocks import block_size, make_blocks
from distsnn.network.serialise import encode

E = Population("E", 80, IafPscExp(tau_m=20.0), {"V_m": Normal(-58.0, 5.0)}, precision="float64")
I = Population("I", 20, IafPscDelta(tau_m=np.linspace(5.0, 9.0, 20)), {"V_m": np.zeros(20)})  # noqa: E741
S = Population("S", 5, SpikeSource([0.1, 0.2], [0, 4]))


def everything():
    return Network(
        [E, I, S],
        [
            Projection(E, I, FixedIndegree(10), 0.5, 1.5),
            Projection(E, I, FixedOutdegree(3, multapses=False), 0.5, 1.5, name="again"),
            Projection(E, E, FixedTotalNumber(100), Normal(0.5, 0.1), Uniform(0.5, 1.0)),
            Projection("E", E, PairwiseBernoulli(0.1, autapses=False), Lognormal(0.0, 0.5), 1.0),
            Projection(E, E[0:5], AllToAll(), -0.5, TruncatedNormal(1.0, 0.5, low=0.1), "in"),
            Projection(
                *(S, I[0:5], OneToOne(), np.arange(5.0), Exponential(1.0)),
                weight_bits=12,
                synapse=Tsodyks2(U=np.full(5, 0.3), tau_rec=Uniform(50.0, 90.0)),
            ),
            Projection(S, I, ConnectionList([0, 4], [3, 19]), [1.0, 2.0], [0.1, 300.0]),
        ],
        [
            PoissonInput(E, 8000.0, 87.8),
            PoissonInput(I, Piecewise([1.0, 2.0], np.ones((2, 20))), 0.1, name="drive"),
            PoissonInput(I, Sine(np.arange(20.0), 8.0, 45.0, 20.0), 0.1),
            SineCurrent(E, 100.0, 8.0, stop=5.0),
            PoissonInput(E, 800.0, 87.8, correlation=0.25),
            GammaInput(E, Sine(80.0, 8.0), 87.8, 3.5, 4),
            SpikeInput(E[3:9], [0.1, 0.4], [0, 5], [1.0, -1.0]),
            ConstantCurrent(E, 300.0, stop=5.0),
            StepCurrent(I, [1.0], [3.0]),
            NoiseCurrent("I", np.zeros(20), 10.0, 1.0),
        ],
        [RecordSpikes(E), RecordSpikes(S), RecordState(E[0:3], ["V_m", "I_syn_in"], interval=1.0)],
        dt=0.1,
    )


def test_gids_follow_the_order_of_creation():
    network = everything()
    assert network.n_neurons == 105
    assert network.first_gid == {"E": 0, "I": 80, "S": 100}
    assert network.population("I") is I
    assert network.resolve_view("I") == network.resolve_view(I) == PopulationView("I", 0, 20)
    assert network.resolve_view(E[5:7]) == PopulationView("E", 5, 7)


def test_projections_get_names():
    names = [one.name for one in everything().projections]
    assert names == ["E->I", "again", "E->E", "E->E#2", "E->E[0:5]", "S->I[0:5]", "S->I"]
    taken = [Projection(E, E, AllToAll(), 1.0, 1.0, name=name) for name in (None, "E->E", None)]
    made = Network([E], taken).projections
    assert [one.name for one in made] == ["E->E#2", "E->E", "E->E#3"]


def test_all_targets_are_resolved():
    network = everything()
    ends = [end for one in network.projections for end in (one.pre, one.post)]
    ends += [one.target for one in (*network.stimuli, *network.recordings)]
    assert all(0 <= end.start < end.stop for end in ends)
    assert [one.is_recurrent for one in network.projections] == [False] * 2 + [True] * 2 + [
        False
    ] * 3


def test_expected_synapses():
    # 10·20 + 3·80 + 100 + 0.1·(6400 − 80) + 80·5 + 5 + 2
    assert everything().expected_synapses() == pytest.approx(1579.0)


def test_round_trip_through_json_and_arrays():
    network = everything()
    data, arrays = network.to_dict()
    text = json.dumps(data, allow_nan=False)
    back = Network.from_dict(json.loads(text), {key: one.copy() for key, one in arrays.items()})
    assert back == network
    assert back.equal(network)
    assert hash(back) == hash(network)
    assert back.stimuli[0].stop == math.inf
    assert back.projections[6].rule.sources.dtype == np.int32
    assert back.to_dict()[0] == data


def test_arrays_are_filed_by_their_place():
    assert set(everything().to_dict()[1]) == {
        "populations/1/model/tau_m",
        "populations/1/initial/V_m",
        "populations/2/model/times",
        "populations/2/model/neurons",
        "projections/5/synapse/U",
        "projections/5/weight",
        "projections/6/rule/sources",
        "projections/6/rule/targets",
        "projections/6/weight",
        "projections/6/delay",
        "stimuli/1/rate/times",
        "stimuli/1/rate/values",
        "stimuli/2/rate/amplitude",
        "stimuli/6/times",
        "stimuli/6/neurons",
        "stimuli/6/weight",
        "stimuli/8/times",
        "stimuli/8/amplitudes",
        "stimuli/9/mean",
    }


def test_the_description_has_no_size_of_the_network_in_it():
    big = Population("E", 10**6, IafPscExp())
    network = Network([big], [Projection(big, big, FixedIndegree(10**4), 1.0, 1.0)])
    data, arrays = network.to_dict()
    assert not arrays
    assert len(json.dumps(data)) < 4000


def test_pickled_networks_are_equal():
    network = everything()
    assert pickle.loads(pickle.dumps(network)) == network


def test_one_changed_element_makes_networks_different():
    def make(last):
        rule = ConnectionList([0, 1], [1, last])
        return Network([E], [Projection(E, E, rule, 1.0, 1.0)])

    assert make(3) == make(3)
    assert make(3) != make(4)
    assert not make(3).equal(make(4))
    assert everything() != make(3)


def test_networks_are_frozen():
    with pytest.raises(AttributeError):
        everything().dt = 0.2


def test_stored_descriptions_that_cannot_be_read():
    data, arrays = everything().to_dict()
    for change, what in (
        ({"format": 99}, "unknown format"),
        ({"network": data["network"]["fields"]["populations"][0]}, "not a stored network"),
        ({"network": {"is": "Netwrok", "fields": {}}}, "did you mean 'Network'"),
        ({"network": {"model": "iaf_psc_exq", "fields": {}}}, "did you mean 'iaf_psc_exp'"),
        ({"network": {"model": "quadratic", "fields": {}}}, "name this file as MODEL, also with"),
        ({"network": {"synapse": "tsodyks", "fields": {}}}, "did you mean 'tsodyks_synapse'"),
        ({"network": {"some": 1}}, "not a stored description"),
    ):
        with pytest.raises(DescriptionError, match=what):
            Network.from_dict(data | change, arrays)
    with pytest.raises(DescriptionError, match="unknown stored array"):
        Network.from_dict(data, {})


def test_what_cannot_be_stored_is_an_error_of_ours():
    with pytest.raises(TypeError, match="a set has no place"):
        encode({1}, "", {}, {})


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (([],), "no population"),
        ((E,), "must be a list"),
        (("E",), "must be a list"),
        ((None,), "must be a list"),
        (([E, Population("E", 3, IafPscDelta())],), "duplicate name of a population"),
        (([E, E],), "duplicate name of a population"),
        (([E, IafPscExp()],), "does not belong among populations"),
        (([E], [E]), "does not belong among projections"),
        (([E], [], [RecordSpikes(E)]), "does not belong among stimuli"),
        (([E], (), (), None, 0.0), "out of range"),
        (([E], (), (), None, -0.1), "out of range"),
        (([E], (), (), None, math.nan), "finite"),
        (([E], (), (), None, "0.1"), "must be a number"),
        (([Population("A", 2**31, IafPscExp()), E],), "too many neurons"),
        (([Population("A", 1, IafPscExp(t_ref=0.25))],), "grid"),
        (([Population("A", 1, SpikeSource([0.1, 0.1], [0, 0]))],), "twice in one step"),
        (
            ([E], [Projection(E, E, AllToAll(), 1.0, 1.0, name="a") for _ in range(2)]),
            "duplicate name of a projection",
        ),
    ],
)
def test_bad_networks(arguments, what):
    with pytest.raises(DescriptionError, match=what):
        Network(*arguments)


def test_errors_carry_place_value_and_nearest_name_as_attributes():
    with pytest.raises(DescriptionError) as error:
        Network([E, I], [Projection("EE", I, OneToOne(), 1.0, 1.0)])
    assert error.value.where == "projection 'EE->I', field pre"
    assert error.value.nearest == "E"
    with pytest.raises(DescriptionError) as error:
        Network([E], [Projection(E, E, OneToOne(), 1.0, -1.0)])
    assert error.value.where == "projection 'E->E', field delay"
    assert error.value.value == -1.0
    assert error.value.allowed.startswith(">= 0.1")


def test_the_largest_network():
    half = 2**30
    network = Network([Population(name, half, IafPscExp()) for name in "AB"])
    assert network.n_neurons == 2**31
    table = make_blocks(network)
    assert table.block_size == 2**21
    assert table.n_blocks == 1024
    assert table.gid[-1] == 2**31 - 2**21


@pytest.mark.parametrize(
    ("n_neurons", "size"),
    [(1, 64), (65536, 64), (65537, 128), (77169, 128), (131072, 128), (131073, 256)],
)
def test_block_size(n_neurons, size):
    assert block_size(n_neurons) == size


def test_no_block_spans_two_populations():
    network = Network(
        [Population(name, size, IafPscExp()) for name, size in (("A", 150), ("B", 3))]
    )
    table = make_blocks(network)
    np.testing.assert_array_equal(table.population, [0, 0, 0, 1])
    np.testing.assert_array_equal(table.start, [0, 64, 128, 0])
    np.testing.assert_array_equal(table.size, [64, 64, 22, 3])
    np.testing.assert_array_equal(table.gid, [0, 64, 128, 150])
    np.testing.assert_array_equal(
        table.block_of_gid([0, 63, 64, 149, 150, 152]), [0, 0, 1, 2, 3, 3]
    )
    types = [one.dtype for one in (table.population, table.start, table.size, table.gid)]
    assert types == [np.int32, np.int64, np.int32, np.int64]


def test_blocks_cover_every_neuron_once():
    sizes = [20683, 5834, 21915, 5479, 4850, 1065, 14395, 2948]
    network = Network([Population(f"P{i}", size, IafPscExp()) for i, size in enumerate(sizes)])
    table = make_blocks(network)
    assert 500 <= table.n_blocks <= 4000
    np.testing.assert_array_equal(table.gid[1:], np.cumsum(table.size[:-1]))
    assert table.size.sum() == network.n_neurons == 77169
    assert (table.start % table.block_size == 0).all()
