"""Sines of time against exact arithmetic, at any step."""

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from kernel_calls import sine_call

from distsnn.engine.kernel_calls import invoke

PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459")


def exact_sine(turns: Fraction) -> float:
    """Return the sine of a phase in turns, rounded once."""
    x = 2 * PI * (turns - round(turns))
    with localcontext() as context:
        context.prec = 50
        term = total = Decimal(x.numerator) / Decimal(x.denominator)
        square = term * term
        for n in range(2, 60, 2):
            term *= -square / (n * (n + 1))
            total += term
        return float(total)


# the last is the largest step that random numbers can be keyed by
STEPS = [0, 1, 2, 24_999, 10**7, 123_456_789, 2**31 - 1, 2**32 - 1]


@pytest.mark.parametrize("dt", [0.1, 0.01, 0.3])
def test_sines_are_exact_to_rounding_at_any_step(dt: float) -> None:
    rng = np.random.default_rng(1)
    n = 100
    frequencies = np.concatenate([[0.0, 10.0, 1e-4, 1 / 3, 500.0 / dt], rng.uniform(0, 900, n - 5)])
    phases = np.concatenate([[0.0, 90.0, -90.0, 180.0, -180.0], rng.uniform(-9e3, 9e3, n - 5)])
    call, values = sine_call(np.ones(n), frequencies, phases, np.zeros(n), dt, common_wave=False)
    worst = 0.0
    for step in STEPS:
        assert invoke(call, step) == 0
        for i, (frequency, phase) in enumerate(zip(frequencies, phases, strict=True)):
            time = step * Fraction(str(dt)) / 1000
            expected = exact_sine(Fraction(frequency) * time + Fraction(phase) / 360)
            worst = max(worst, abs(values[i] - expected))
    # of the phase given in degrees, 2^-54 of a turn; of the sum, two roundings
    assert 0.0 < worst < 6e-16


def test_nothing_is_left_of_whole_periods() -> None:
    # 10 Hz are 1000 steps of 0.1 ms
    call, values = sine_call(np.ones(1), np.full(1, 10.0), np.zeros(1), np.zeros(1), 0.1, True)
    for step in (0, 10**3, 10**6, 4 * 10**9):
        invoke(call, step)
        assert abs(values[0]) < 1e-18
        invoke(call, step + 250)
        assert values[0] == 1.0
        invoke(call, step + 500)
        assert abs(values[0]) < 1e-18
        invoke(call, step + 750)
        assert values[0] == -1.0


def test_a_common_wave_and_those_of_each_are_the_same_and_ranges_may_be_cut() -> None:
    n = 192
    amplitudes, offsets = np.linspace(-3.0, 9.0, n), np.linspace(100.0, 0.0, n)
    given = amplitudes, np.full(n, 77.7), np.full(n, 33.0), offsets, 0.1
    (common, first), (each, second) = (sine_call(*given, one) for one in (True, False))
    for step in (0, 17, 10**7):
        first[:] = second[:] = np.nan
        invoke(common, step, 64, 192)
        assert np.isnan(first[:64]).all()
        invoke(common, step, 0, 64)
        for low, high in ((0, 1), (1, 64), (64, 191), (191, 192)):
            invoke(each, step, low, high)
        np.testing.assert_array_equal(first, second)
        wave = np.sin(2.0 * np.pi * (77.7 * step * 1e-4 + 33.0 / 360.0))
        np.testing.assert_allclose(first, offsets + amplitudes * wave, atol=1e-8)
