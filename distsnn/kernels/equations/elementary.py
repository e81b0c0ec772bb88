"""Trigonometric, hyperbolic and other functions of equations: the same bits on every machine.

They are made of + − × ÷ √, comparisons, and functions of `kernels.functions`. All are computed in
float64 and returned in the precision of their argument. Errors are below 4 ulp; those of sines and
cosines are below 2e-16, which is more than 4 ulp near the zeros of angles above 1e6. NaN remains
NaN. `tests/unit/kernels` measures the errors.
"""

from functools import partial

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import overload

from distsnn.jit import FLAGS, Function, inline, kernel
from distsnn.kernels.functions import checked_log, exp, log
from distsnn.kernels.functions import expm1 as _expm1_of_number

Floats = npt.NDArray[np.float64]

# Largest angle: the quarter turns in it have 30 bits.
_MOST_ANGLE = 1e9
# A quarter turn in parts of 33 bits, so that products with 15 bits are exact; the polynomials for
# angles in ±pi/4 and for arc tangents. These are the constants of fdlibm.
_QUARTERS, _ROUND, _HIGH = 0.6366197723675814, 6755399441055744.0, 32768.0
_QUARTER = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21)
_SIN = (
    *(1.58969099521155010221e-10, -2.50507602534068634195e-08, 2.75573137070700676789e-06),
    *(-1.98412698298579493134e-04, 8.33333333332248946124e-03, -1.66666666666666324348e-01),
)
_COS = (
    *(-1.13596475577881948265e-11, 2.08757232129817482790e-09, -2.75573143513906633035e-07),
    *(2.48015872894767294178e-05, -1.38888888888741095749e-03, 4.16666666666666019037e-02),
)
_ATAN = (
    *(1.62858201153657823623e-02, -3.65315727442169155270e-02, 4.97687799461593236017e-02),
    *(-5.83357013379057348645e-02, 6.66107313738753120669e-02, -7.69187620504482999495e-02),
    *(9.09088713343650656196e-02, -1.11111104054623557880e-01, 1.42857142725034663711e-01),
    *(-1.99999999998764832476e-01, 3.33333333333329318027e-01),
)
# 1 / ln 10, and log10(2) in two parts.
_PER_LN10, _LOG2_HIGH, _LOG2_LOW = 0.4342944819032518, 0.30102999566361177, 3.694239077158931e-13


@inline
def _angle(x):
    """Return the number of quarter turns (its low bits) and the rest of an angle, in ±pi/4."""
    shifted = x * _QUARTERS + _ROUND
    n = shifted - _ROUND
    high = _HIGH * ((n / _HIGH + _ROUND) - _ROUND)
    rest = (x - high * _QUARTER[0]) - (n - high) * _QUARTER[0]
    rest = (rest - n * _QUARTER[1]) - n * _QUARTER[2]
    return np.float64(shifted).view(np.int64), rest if abs(x) <= _MOST_ANGLE else np.nan


@inline
def _wave(turns, r):
    """Return the sine of a number of quarter turns and a rest."""
    z = r * r
    p = 0.0
    for factor in _SIN:
        p = p * z + factor
    sine = r + (z * r) * p
    p = 0.0
    for factor in _COS:
        p = p * z + factor
    half = 0.5 * z
    large = 1.0 - half
    # what `large` lost by rounding
    cosine = large + (((1.0 - large) - half) + (z * z) * p)
    y = cosine if turns & 1 else sine
    return -y if turns & 2 else y


@inline
def _sin64(x):
    turns, rest = _angle(x)
    return _wave(turns, rest)


@inline
def _cos64(x):
    turns, rest = _angle(x)
    return _wave(turns + 1, rest)


@inline
def _tan64(x):
    turns, rest = _angle(x)
    return _wave(turns, rest) / _wave(turns + 1, rest)


@inline
def _atan64(x):
    size = abs(x)
    # atan(x) = atan(c) + atan((x - c) / (1 + c x)), c = 0, 1/2, 1, 3/2 or infinite
    if size < 0.4375:
        high, low, y = 0.0, 0.0, size
    elif size < 0.6875:
        high, low = 0.4636476090008061, 2.2698777452961687e-17
        y = (2.0 * size - 1.0) / (2.0 + size)
    elif size < 1.1875:
        high, low, y = 0.7853981633974483, 3.061616997868383e-17, (size - 1.0) / (size + 1.0)
    elif size < 2.4375:
        high, low = 0.982793723247329, 1.3903311031230998e-17
        y = (size - 1.5) / (1.0 + 1.5 * size)
    else:
        high, low, y = 1.5707963267948966, 6.123233995736766e-17, -1.0 / size
    z, p = y * y, 0.0
    for factor in _ATAN:
        p = p * z + factor
    angle = high - ((y * (z * p) - low) - y)
    return x if x != x else (-angle if x < 0.0 else angle)


@inline
def _asin64(x):
    return _atan64(x / np.sqrt((1.0 - x) * (1.0 + x))) if abs(x) <= 1.0 else np.nan


@inline
def _acos64(x):
    return 2.0 * _atan64(np.sqrt((1.0 - x) / (1.0 + x))) if abs(x) <= 1.0 else np.nan


@inline
def _expm1_64(x):
    return x if x != x else _expm1_of_number(x)


@inline
def _sinh64(x):
    grown = _expm1_64(abs(x))
    y = 0.5 * (grown + grown / (grown + 1.0))
    return -y if x < 0.0 else y


@inline
def _cosh64(x):
    e = exp(abs(x))
    return x if x != x else 0.5 * (e + 1.0 / e)


@inline
def _tanh64(x):
    grown = _expm1_64(2.0 * abs(x))
    y = grown / (grown + 2.0)
    return -y if x < 0.0 else y


@inline
def _log10_64(x):
    # x = 2^n m with m from 1 to 2, or from 1/2 to 1 if n < 0: exact for powers of ten
    bits = np.float64(x).view(np.int64)
    n = (bits >> np.int64(52)) - np.int64(1023)
    n = n + 1 if n < 0 else n
    m = np.int64(bits - (n << np.int64(52))).view(np.float64)
    scale = np.float64(n)
    y = (scale * _LOG2_LOW + _PER_LN10 * log(m)) + scale * _LOG2_HIGH
    return y if 0.0 < x < np.inf else (x if x > 0.0 else checked_log(x))


@inline
def _log1p64(x):
    u = 1.0 + x
    # the error of u cancels in the quotient
    return x if u == 1.0 else (checked_log(u) * x / (u - 1.0) if x < np.inf else x)


@inline
def _sign64(x):
    return x if x != x else (1.0 if x > 0.0 else (-1.0 if x < 0.0 else 0.0))


def _in_precision(function: Function, compiled: Function) -> None:
    """Let kernels compute a function in float64, and return it in the precision of its argument."""

    @overload(function, jit_options={"forceinline": True, **FLAGS})
    def _typed(x):
        if x == types.float32:
            return lambda x: np.float32(compiled(np.float64(x)))
        return lambda x: compiled(x)


def sin(x):
    """Return the sine of an angle of at most 1e9 rad, else NaN."""
    return _sin64(x)


def cos(x):
    """Return the cosine of an angle of at most 1e9 rad, else NaN."""
    return _cos64(x)


def tan(x):
    """Return the tangent of an angle of at most 1e9 rad, else NaN."""
    return _tan64(x)


def arcsin(x):
    """Return the arc sine, from -pi/2 to pi/2; NaN if x is not from -1 to 1."""
    return _asin64(x)


def arccos(x):
    """Return the arc cosine, from 0 to pi; NaN if x is not from -1 to 1."""
    return _acos64(x)


def arctan(x):
    """Return the arc tangent, from -pi/2 to pi/2."""
    return _atan64(x)


def sinh(x):
    """Return the hyperbolic sine; it is finite, as `exp` is."""
    return _sinh64(x)


def cosh(x):
    """Return the hyperbolic cosine; it is finite, as `exp` is."""
    return _cosh64(x)


def tanh(x):
    """Return the hyperbolic tangent."""
    return _tanh64(x)


def expm1(x):
    """Return e^x - 1 without cancellation near 0; it is finite, as `exp` is."""
    return _expm1_64(x)


def log10(x):
    """Return the decimal logarithm; -inf at 0 and NaN below."""
    return _log10_64(x)


def log1p(x):
    """Return log(1 + x) without cancellation near 0; -inf at -1 and NaN below."""
    return _log1p64(x)


def sign(x):
    """Return -1.0, 0.0 or 1.0."""
    return _sign64(x)


for _function, _compiled in (
    (sin, _sin64),
    (cos, _cos64),
    (tan, _tan64),
    (arcsin, _asin64),
    (arccos, _acos64),
    (arctan, _atan64),
    (sinh, _sinh64),
    (cosh, _cosh64),
    (tanh, _tanh64),
    (expm1, _expm1_64),
    (log10, _log10_64),
    (log1p, _log1p64),
    (sign, _sign64),
):
    _in_precision(_function, _compiled)


@kernel
def _into(code, x, out):
    for i in range(x.size):
        if code == 0:
            out[i] = sin(x[i])
        elif code == 1:
            out[i] = cos(x[i])
        elif code == 2:
            out[i] = tan(x[i])
        elif code == 3:
            out[i] = arcsin(x[i])
        elif code == 4:
            out[i] = arccos(x[i])
        elif code == 5:
            out[i] = arctan(x[i])
        elif code == 6:
            out[i] = sinh(x[i])
        elif code == 7:
            out[i] = cosh(x[i])
        elif code == 8:
            out[i] = tanh(x[i])
        elif code == 9:
            out[i] = expm1(x[i])
        elif code == 10:
            out[i] = log10(x[i])
        elif code == 11:
            out[i] = log1p(x[i])
        else:
            out[i] = sign(x[i])


def _mapped(code: int, x: Floats | float) -> Floats:
    values = np.asarray(x, dtype=np.float64)
    out = np.empty(values.shape)
    _into(code, values.reshape(-1), out.reshape(-1))
    return out


# The same functions of every element (float64, any shape), with the same bits on every machine.
sin_array = partial(_mapped, 0)
cos_array = partial(_mapped, 1)
tan_array = partial(_mapped, 2)
arcsin_array = partial(_mapped, 3)
arccos_array = partial(_mapped, 4)
arctan_array = partial(_mapped, 5)
sinh_array = partial(_mapped, 6)
cosh_array = partial(_mapped, 7)
tanh_array = partial(_mapped, 8)
expm1_array = partial(_mapped, 9)
log10_array = partial(_mapped, 10)
log1p_array = partial(_mapped, 11)
sign_array = partial(_mapped, 12)
