"""Conversion of milliseconds to steps, and numbers in words.

Times are converted once, in descriptions; all other modules use integer steps.
"""

import math

from distsnn.errors import DescriptionError, InputError

# A time is on the grid if it is within this fraction of a step: far above the rounding of decimal
# fractions of a millisecond, far below any intended difference.
GRID_TOLERANCE = 1e-6

# Not every larger number of steps is a float.
MOST_STEPS = 2.0**53

Steps = int


def to_steps(
    time_ms: float, dt: float, *, where: str, error: type[InputError] = DescriptionError
) -> Steps:
    """Convert a time to an integer number of steps.

    Parameters
    ----------
    time_ms : float
        Time, ms.
    dt : float
        Step, ms.
    where : str
        Context for the error.
    error : type of InputError
        Class of the error: another one where the time is not part of a description.

    Returns
    -------
    int
        ``time_ms / dt``.

    Raises
    ------
    InputError
        If the time is not a number, not finite, too long or not a multiple of `dt`.
    """
    try:
        is_finite = math.isfinite(time_ms)
    except TypeError:
        raise error("time must be a number", where=where, value=time_ms) from None
    if not is_finite:
        raise error("time must be finite", where=where, value=time_ms)
    exact = time_ms / dt
    if not abs(exact) < MOST_STEPS:
        raise error(
            "time is too long", where=where, value=time_ms, allowed=f"below {MOST_STEPS * dt:g} ms"
        )
    rounded = round(exact)
    nearest = (rounded or 1) * dt  # 0 ms is often out of range
    if abs(exact - rounded) > GRID_TOLERANCE * max(1.0, abs(exact) * 1e-6):
        raise error(
            "time is not on the grid",
            where=where,
            value=time_ms,
            allowed=f"multiples of dt = {dt} ms, such as {nearest:.10g} ms",
        )
    return rounded


def format_count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 rank``, ``1,200 ranks``; the plural is noun + s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
