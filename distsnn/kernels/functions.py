"""exp, expm1, log and erf from + − × ÷ only: the same bits on every machine.

libm's versions differ between releases, numpy's between instruction sets. Errors are below 1.1 ulp,
erf's below 1.4, expm1's below 2.2; `tests/unit/kernels` measures them.
"""

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import overload

from distsnn.jit import FLAGS, Function, inline, kernel

Floats = npt.NDArray[np.float64]

# exp(x) = 2^n exp(r), n the integer next to x / ln 2, r in ±0.35; ln 2 in two parts, so that
# n * ln 2 is exact in the first.
_LOG2_E = 1.4426950408889634
_LN2_HIGH = 0.693147180369123816490
_LN2_LOW = 1.90821492927058770002e-10
_ROUND = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer, held in the low bits

# (e^r - 1 - r) / r^2 for r in ±0.35: a polynomial with an error of at most 2.1e-17 in e^r - 1.
_E2, _E3, _E4 = 0.5000000000000006, 0.1666666666666658, 0.04166666666656885
_E5, _E6, _E7 = 0.008333333333394513, 0.0013888888934354491, 0.0001984126971099713
_E8, _E9 = 2.4801501733224593e-05, 2.7557411359045066e-06
_E10, _E11 = 2.7627506701512074e-07, 2.5053811625706914e-08

# The same in float32.
_LEAST_32, _MOST_32 = np.float32(-87.0), np.float32(88.0)
_LOG2_E_32, _ROUND_32, _ONE_32 = np.float32(_LOG2_E), np.float32(12582912.0), np.float32(1.0)
_LN2_HIGH_32, _LN2_LOW_32 = np.float32(0.693359375), np.float32(-2.12194440e-4)
_F2, _F3, _F4 = np.float32(0.5), np.float32(0.16666576), np.float32(0.041666374)
_F5, _F6 = np.float32(0.008363295), np.float32(0.001394131)
# erf(x)/x - 1 as a polynomial in x^2 for |x| < 1, at most 1.3e-19 off; e^(x^2) erfc(x) for x from 1
# to 6 as one in 1/(1 + 0.3 x) - _ERFC_CENTRE, at most 2.5e-19 off in erfc. Both interpolate at
# Chebyshev's nodes. From 6 on, erf(x) rounds to 1.
_ERF = (
    *(0.1283791670955126, -0.3761263890318375, 0.11283791670954879, -0.026866170645076792),
    *(0.0052239776248180145, -0.000854832698083379, 0.0001205533111164271),
    *(-1.4925595266831182e-05, 1.6461000484121368e-06, -1.6350312701054695e-07),
    *(1.4659775274047436e-08, -1.1372848856791674e-09, 5.957176147748911e-11),
)[::-1]
_ERFC_SLOPE, _ERFC_CENTRE, _ERF_END = 0.3, 0.5631868131868132, 6.0
_ERFC = (
    *(0.20463652080158568, 0.7383689219368388, 1.2283364647523762, 1.6787819363762022),
    *(1.8461995682074204, 1.5590547824074958, 0.8976272927390095, 0.20176077263216807),
    *(-0.17489899072578718, -0.16127491860593127, 0.006536921251394002, 0.07228089469224781),
    *(0.013018515681764447, -0.03368541262396755, -0.008606656001804963, 0.01656147538119639),
)[::-1]

_HALF_32, _TWO_32, _SQRT_HALF_32 = np.float32(0.5), np.float32(2.0), np.int32(0x3F3504F3)
_G2, _G4, _G6, _G8 = (np.float32(2.0 / n) for n in (3.0, 5.0, 7.0, 9.0))


@inline
def _expm1_reduced(r):
    # Estrin's scheme: half as deep as Horner's
    s = r * r
    low = (_E3 * r + _E2) + (_E5 * r + _E4) * s
    middle = (_E7 * r + _E6) + (_E9 * r + _E8) * s
    p = low + (s * s) * (middle + (_E11 * r + _E10) * (s * s))
    return p * s + r


@inline
def _reduced(x):
    """Return (n, r) of x, clamped to where e^x is a normal number."""
    x = min(max(x, -708.0), 709.0)
    n = (x * _LOG2_E + _ROUND) - _ROUND
    return n, (x - n * _LN2_HIGH) - n * _LN2_LOW


@inline
def _exp64(x):
    n, r = _reduced(x)
    y = _expm1_reduced(r) + 1.0
    bits = np.float64(y).view(np.int64) + (np.int64(n) << np.int64(52))
    return np.int64(bits).view(np.float64)


@inline
def _expm1_reduced32(r):
    p = (((_F6 * r + _F5) * r + _F4) * r + _F3) * r + _F2
    return p * (r * r) + r


@inline
def _reduced32(x):
    x = min(max(x, _LEAST_32), _MOST_32)
    n = (x * _LOG2_E_32 + _ROUND_32) - _ROUND_32
    return n, (x - n * _LN2_HIGH_32) - n * _LN2_LOW_32


@inline
def _exp32(x):
    n, r = _reduced32(x)
    y = _expm1_reduced32(r) + _ONE_32
    bits = np.int32(np.float32(y).view(np.int32) + np.int32(np.int32(n) << np.int32(23)))
    return bits.view(np.float32)


def exp(x):
    """Return e^x, clamped to the range of normal numbers, in x's precision (in Python float64)."""
    return _exp64(x)


@overload(exp, jit_options={"forceinline": True, **FLAGS})
def _exp(x):
    if x == types.float32:
        return lambda x: _exp32(x)
    return lambda x: _exp64(x)


@inline
def expm1(x):
    """Return e^x - 1 (float64) without cancellation near 0."""
    if abs(x) < 0.35:
        return _expm1_reduced(x)
    n, r = _reduced(x)
    scale = np.int64((np.int64(n) + np.int64(1023)) << np.int64(52)).view(np.float64)
    return scale * _expm1_reduced(r) + (scale - 1.0)


# log(x) = n ln 2 + 2 atanh(s), s = (m - 1) / (m + 1), m in [sqrt(1/2), sqrt(2))
@inline
def log(x):
    """Return the natural logarithm of a positive, normal float64."""
    bits = np.float64(x).view(np.int64)
    n = np.int64(bits - np.int64(0x3FE6A09E667F3BCD)) >> np.int64(52)
    m = np.int64(bits - (n << np.int64(52))).view(np.float64)
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    p = 2.0 / 25.0
    for k in (23.0, 21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0):
        p = p * z + 2.0 / k
    # f - s f = 2 s: written so, the large part of log(m) is exact
    half = 0.5 * f * f
    tail = s * (half + (p * z))
    scale = np.float64(n)
    return scale * _LN2_HIGH - ((half - (tail + scale * _LN2_LOW)) - f)


@inline
def _log32(x):
    bits = np.float32(x).view(np.int32)
    n = np.int32(np.int32(bits - _SQRT_HALF_32) >> np.int32(23))
    m = np.int32(bits - np.int32(n << np.int32(23))).view(np.float32)
    f = m - _ONE_32
    s = f / (_TWO_32 + f)
    z = s * s
    half = _HALF_32 * f * f
    tail = s * (half + z * (_G2 + z * (_G4 + z * (_G6 + z * _G8))))
    scale = np.float32(n)
    return scale * _LN2_HIGH_32 - ((half - (tail + scale * _LN2_LOW_32)) - f)


@inline
def log_of_complement(p):
    """Return log(1 - p) of a float64 in (0, 1), exact where p is so small that 1 - p rounds."""
    if p < 1e-4:
        return -p * (1.0 + p * (1 / 2 + p * (1 / 3 + p * (1 / 4))))
    return log(1.0 - p)


def flush_subnormal(x):
    """Return x, or 0 if it is so small that silent neurons would reach slow denormal numbers.

    NaN remains NaN, so that it is detected.
    """
    return x * 0 if abs(x) <= 1e-20 else x


@overload(flush_subnormal, jit_options={"forceinline": True, **FLAGS})
def _flush(x):
    # float32 code must see float32 constants, or the whole loop is promoted to float64
    real = np.float32 if x == types.float32 else np.float64
    smallest, zero = real(1e-20), real(0.0)

    def compiled(x):
        return zero if abs(x) <= smallest else x

    return compiled


@inline
def clip(x, low, high):
    """Return x clipped to [low, high], in its precision; NaN remains NaN."""
    return low if x < low else (high if x > high else x)


@inline
def _exprel64(x):
    n, r = _reduced(x)
    scale = np.int64((np.int64(n) + np.int64(1023)) << np.int64(52)).view(np.float64)
    grown = scale * _expm1_reduced(r) + (scale - 1.0)
    return 1.0 if x == 0.0 else grown / x


@inline
def _exprel32(x):
    n, r = _reduced32(x)
    bits = np.int32(np.int32(np.int32(n) + np.int32(127)) << np.int32(23))
    scale = bits.view(np.float32)
    grown = scale * _expm1_reduced32(r) + (scale - _ONE_32)
    return _ONE_32 if x == np.float32(0.0) else grown / x


def exprel(x):
    """Return (e^x - 1)/x, 1 at 0, in x's precision (in Python float64)."""
    return _exprel64(x)


@overload(exprel, jit_options={"forceinline": True, **FLAGS})
def _exprel(x):
    if x == types.float32:
        return lambda x: _exprel32(x)
    return lambda x: _exprel64(x)


@inline
def _erf64(x):
    size = abs(x)
    if size < 1.0:
        z, p = x * x, 0.0
        for factor in _ERF:
            p = p * z + factor
        return x + x * p
    if not size < _ERF_END:
        # NaN remains NaN
        return x if x != x else (1.0 if x > 0.0 else -1.0)
    t, p = 1.0 / (1.0 + _ERFC_SLOPE * size) - _ERFC_CENTRE, 0.0
    for factor in _ERFC:
        p = p * t + factor
    y = 1.0 - _exp64(-size * size) * p
    return y if x > 0.0 else -y


def erf(x):
    """Return the error function of x, in x's precision (in Python float64)."""
    return _erf64(x)


@overload(erf, jit_options={"forceinline": True, **FLAGS})
def _erf(x):
    if x == types.float32:
        return lambda x: np.float32(_erf64(np.float64(x)))
    return lambda x: _erf64(x)


def checked_log(x):
    """Return the logarithm of x in its precision; -inf at 0 and NaN below."""
    return log(x) if x > 0.0 else (-np.inf if x == 0.0 else np.nan)


@overload(checked_log, jit_options={"forceinline": True, **FLAGS})
def _checked_log(x):
    real = np.float32 if x == types.float32 else np.float64
    zero, at_zero, below_zero = real(0.0), real(-np.inf), real(np.nan)

    def single(x):
        return _log32(x) if x > zero else (at_zero if x == zero else below_zero)

    def double(x):
        return log(x) if x > zero else (at_zero if x == zero else below_zero)

    return single if x == types.float32 else double


@inline
def power(x, y):
    """Return x^y of x >= 0, in the arguments' precision; NaN if x is negative."""
    unity = type(x)(1)
    return unity if y == type(x)(0) else exp(y * checked_log(x))


@inline
def bounded_power(x, y):
    """Return x^y of x >= 0 and y >= 0, in the arguments' precision; x below 0 counts as 0."""
    zero, unity = type(x)(0), type(x)(1)
    return unity if y == zero else (x if y == unity else (power(x, y) if x > zero else zero))


@kernel
def _exp_into(x, out):
    for i in range(x.size):
        out[i] = exp(x[i])


@kernel
def _log_into(x, out):
    for i in range(x.size):
        out[i] = log(x[i])


@kernel
def _checked_log_into(x, out):
    for i in range(x.size):
        out[i] = checked_log(x[i])


@kernel
def _exprel_into(x, out):
    for i in range(x.size):
        out[i] = exprel(x[i])


@kernel
def _expm1_into(x, out):
    for i in range(x.size):
        out[i] = expm1(x[i])


@kernel
def _erf_into(x, out):
    for i in range(x.size):
        out[i] = erf(x[i])


def _mapped(into: Function, x: Floats | float) -> Floats:
    values = np.asarray(x, dtype=np.float64)
    out = np.empty(values.shape)
    into(values.reshape(-1), out.reshape(-1))
    return out


def exp_array(x: Floats | float) -> Floats:
    """Return `exp` of every element (float64, any shape), with the same bits on every machine."""
    return _mapped(_exp_into, x)


def expm1_array(x: Floats | float) -> Floats:
    """Return `expm1` of every element (float64, any shape), with the same bits everywhere."""
    return _mapped(_expm1_into, x)


def log_array(x: Floats | float) -> Floats:
    """Return `log` of every element (float64, any shape), with the same bits on every machine."""
    return _mapped(_log_into, x)


def checked_log_array(x: Floats | float) -> Floats:
    """Return `checked_log` of every element (float64, any shape), with the same bits everywhere."""
    return _mapped(_checked_log_into, x)


def exprel_array(x: Floats | float) -> Floats:
    """Return `exprel` of every element (float64, any shape), with the same bits everywhere."""
    return _mapped(_exprel_into, x)


def erf_array(x: Floats | float) -> Floats:
    """Return `erf` of every element (float64, any shape), with the same bits everywhere."""
    return _mapped(_erf_into, x)
