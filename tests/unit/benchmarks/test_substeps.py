"""The substeps that models choose keep errors of rates below 0.5 %."""

from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def substeps() -> ModuleType:
    import substeps

    return substeps


@pytest.mark.validation
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("model", "dt"),
    [
        *(("AeifCondExp", dt) for dt in (0.1, 0.5)),
        *(("AeifPscExp", dt) for dt in (0.1, 0.5)),
        *(("AeifPscDeltaClopath", dt) for dt in (0.1, 0.5)),
        *(("HhCondExpTraub", dt) for dt in (0.1, 0.2)),
        *(("IafCondExp", dt) for dt in (0.1, 0.2)),
        *(("IafCondAlpha", dt) for dt in (0.1, 0.2)),
        *(("AeifCondAlpha", dt) for dt in (0.1, 0.5)),
        *(("AeifPscAlpha", dt) for dt in (0.1, 0.5)),
        *(("IafCondExpSfaRr", dt) for dt in (0.1, 0.2)),
        *(("HhPscAlpha", dt) for dt in (0.1, 0.2)),
        *(("GifCondExp", dt) for dt in (0.1, 0.5)),
        *(("IafBw2001", dt) for dt in (0.1, 0.2)),
        *(("IafCondAlphaMc", dt) for dt in (0.05, 0.1)),
        *(("PpCondExpMcUrbanczik", dt) for dt in (0.1, 0.2)),
    ],
)
def test_errors_of_rates_are_below_half_a_percent(
    substeps: ModuleType, model: str, dt: float
) -> None:
    # parts of 0.01 ms move these errors by less than 0.02 % against the table's 0.005 ms
    found = substeps.measure(model, dt, 2000.0, fine_part=0.01)
    assert len(found["each"]) >= 8
    # a bursting neuron has a few spikes more or less by chance
    assert abs(found["total"]) < 0.3
    assert max(map(abs, found["each"].values())) < 0.6
