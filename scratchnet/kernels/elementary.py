"""exp, log, tanh and their kin as a few products and sums, so that LLVM computes them for a whole vector at once.

A loop that calls the C library computes one number after the other. Here the argument is split into a power of two,
which is an exponent and costs nothing, and a remainder, which goes through a short series. Errors are a few units in
the last place over the whole range of float32 and of float64, and a NaN stays a NaN.
"""

from collections.abc import Callable
from math import factorial
from typing import Any

import numpy as np
from numba import float32, float64
from numba.extending import overload, register_jitable


def _functions(F: Any, whole: Any, high: float, low: float, lowest: float, terms: tuple[int, int, int]) -> list[Any]:
    """The functions for floats F, whose bits are read as integers of type `whole`.

    log 2 is `high` + `low`: the first ends in zeros, so that its product with n is exact. Below `lowest` e^x is 0. Each
    series has so many `terms`, the highest power first: that of e^r − 1, of artanh near 0, of artanh up to ⅓.
    """
    log2_e, high, low, lowest = F(1 / np.log(2)), F(high), F(low), F(lowest)
    zero, half, one, two, infinity, nan = F(0), F(0.5), F(1), F(2), F(np.inf), F(np.nan)
    of_exp = tuple(F(1 / factorial(k)) for k in range(terms[0], 0, -1))
    of_artanh_near, of_artanh = (tuple(F(2 / (2 * k + 1)) for k in range(n, 0, -1)) for n in terms[1:])
    digits = np.finfo(F).nmant  # a float is its sign, its exponent and so many digits of its mantissa
    bias, of_mantissa, of_one = whole(np.finfo(F).maxexp - 1), whole(2**digits - 1), one.view(whole)
    least, up, log_of_up, root_two = F(np.finfo(F).tiny), F(2.0**digits), F(digits * np.log(2)), F(np.sqrt(2))

    @register_jitable
    def polynomial(x, coefficients):
        total = coefficients[0]
        for coefficient in coefficients[1:]:
            total = total * x + coefficient
        return total

    @register_jitable
    def power_of_two(n):
        return whole((n + bias) << digits).view(F)

    @register_jitable
    def cut(x):
        """x = n log 2 + r; e^r − 1, and n in two halves, since 2ⁿ itself may be too large or too small for a float."""
        x = lowest if x < lowest else x
        x = -lowest if x > -lowest else x
        n = np.rint(x * log2_e)
        r = (x - n * high) - n * low
        i = whole(n)
        return r * polynomial(r, of_exp), whole(i >> 1), whole(i - (i >> 1))

    @register_jitable
    def exp(x):
        """e^x = 2ⁿ e^r, where n is an integer and |r| ≤ ½ log 2."""
        p, i, j = cut(x)
        return (p + one) * power_of_two(i) * power_of_two(j)

    @register_jitable
    def expm1(x):
        """e^x − 1, with all its digits near 0."""
        p, i, j = cut(x)
        a, b, over_b = power_of_two(i), power_of_two(j), power_of_two(-j)
        return (p * a + (a - over_b)) * b  # a b (p + 1) − 1, and nothing is lost if a b is 1

    @register_jitable
    def log_of_normal(x):
        """n log 2 + log m, where n is an integer and m lies between √½ and √2."""
        bits = F(x).view(whole)
        n = F(whole(bits >> digits)) - F(bias)
        m = whole((bits & of_mantissa) | of_one).view(F)  # in [1, 2)
        n, m = (n + one, m * half) if m > root_two else (n, m)
        s = (m - one) / (m + one)  # log m = 2 artanh s, |s| < 0.172
        return n * high + (two * s + (s * (s * s) * polynomial(s * s, of_artanh_near) + n * low))

    def log(x):
        subnormal = x < least
        result = log_of_normal(x * up if subnormal else x) - (log_of_up if subnormal else zero)
        result = x if x == infinity else result
        result = -infinity if x == zero else result
        return result if x >= zero else nan

    def log1p(x):
        """log(1 + x) = 2 artanh(x / (2 + x)), for x from 0 to 1."""
        s = x / (two + x)  # |s| ≤ ⅓
        return s * two + s * (s * s) * polynomial(s * s, of_artanh)

    def log1m(x):
        """log(1 − x), for x from 0 to 1."""
        u = one - x
        result = log_of_normal(u) + ((one - u) - x)  # the second term is what rounding 1 − x lost
        return -infinity if u == zero else result

    def tanh(x):
        """(1 − e^−2|x|) / (1 + e^−2|x|), with the sign of x."""
        t = expm1(-two * abs(x))
        y = (zero - t) / (t + two)  # −t would make −0 of 0
        return y if x >= zero else -y

    return [exp, expm1, log, log1p, log1m, tanh]


_BY_TYPE = {
    float32: _functions(np.float32, np.int32, 0.693359375, -2.12194440e-4, -104.0, (7, 4, 7)),
    float64: _functions(np.float64, np.int64, 0.693145751953125, 1.42860682030941723212e-6, -746.0, (13, 9, 16)),
}


def _of_either_type(place: int) -> Callable[..., Any]:
    """A function for compiled code, of either type of float."""

    def function(x):  # only its name is used, by numba
        raise NotImplementedError

    overload(function, jit_options={"fastmath": {"contract"}})(lambda x: _BY_TYPE[x][place])
    return function


exp, expm1, log, log1p, log1m, tanh = map(_of_either_type, range(6))
