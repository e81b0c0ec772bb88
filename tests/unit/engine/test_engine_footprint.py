"""Expected memory, beside the bytes of what is built."""

from collections.abc import Callable
from dataclasses import replace

import decoded
import numpy as np
import pytest

from distsnn.engine import memory_estimate, wiring
from distsnn.engine.memory_estimate import BASELINE_BYTES, estimate_memory_bytes
from distsnn.network import (
    STDP,
    ConnectionList,
    ConnectionRule,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    IafPscExp,
    Network,
    Normal,
    Population,
    Projection,
    Uniform,
)

E, INH = Population("E", 3000, IafPscExp()), Population("I", 700, IafPscExp())
DRAW = np.random.default_rng(1)


def network(rule: ConnectionRule, **options: object) -> Network:
    values = {"weight": Normal(5.0, 1.0), "delay": Uniform(0.7, 2.0), **options}
    return Network(
        [E, INH],
        [Projection(E, E, rule, **values), Projection(E[40:], INH, FixedTotalNumber(5000), 2.0, 1)],
    )


@pytest.mark.parametrize("options", [{}, {"storage": "explicit"}, {"delivery": "pull"}])
@pytest.mark.parametrize("rule", [FixedOutdegree(90), FixedTotalNumber(200_000)])
def test_stored_synapses_take_what_is_expected(
    rule: ConnectionRule, options: dict[str, str]
) -> None:
    made = network(rule)
    layout, scales = decoded.layouts(made, 3)[1], decoded.scales(made)
    built = wiring.build_local_synapses(layout, scales, 1, **options)
    found = estimate_memory_bytes(layout, scales, **options) - BASELINE_BYTES
    others = memory_estimate._neurons(layout) + memory_estimate._rings(
        layout, memory_estimate.plan_row_sets(layout, scales, **options)
    )
    assert found - others == pytest.approx(built.nbytes, rel=0.1)


@pytest.mark.parametrize(
    ("change", "least"),
    [
        # bytes of an edge: sorted ones, twice, beside words; given ones; weights and states
        (lambda made: replace(made, rule=FixedIndegree(90)), 12.0),
        (
            lambda made: replace(
                made,
                rule=ConnectionList(*DRAW.integers(0, 3000, (2, 270_000))),
                weight=5.0,
                delay=1.0,
            ),
            100.0,
        ),
        (lambda made: replace(made, weight=5.0, synapse=STDP(w_max=10.0)), 8.0),
    ],
)
def test_what_is_held_while_synapses_are_built_counts(
    change: Callable[[Projection], Projection], least: float
) -> None:
    first, other = network(FixedOutdegree(90)).projections
    made = Network([E, INH], [change(first), other])
    layout = decoded.layouts(made, 1)[0]
    empty = estimate_memory_bytes(*_alone([other]))
    found = estimate_memory_bytes(layout, decoded.scales(made)) - empty
    assert least < found / 270_000 < 1.5 * least + 8.0


def _alone(projections: list[Projection]) -> tuple:
    made = Network([E, INH], projections)
    return decoded.layouts(made, 1)[0], decoded.scales(made)


def test_procedural_synapses_take_no_memory() -> None:
    made = network(FixedOutdegree(900))
    layout, scales = decoded.layouts(made, 2)[0], decoded.scales(made)
    drawn = estimate_memory_bytes(layout, scales, storage="procedural")
    assert drawn - BASELINE_BYTES < 1e6
    assert estimate_memory_bytes(layout, scales) - drawn > 4 * 1_350_000
