"""exp, log, tanh and their kin, written so that LLVM computes them for all lanes of a vector at once.

A loop that calls the C library computes one number after the other. Here each function is a few products and sums: the
argument is cut into a power of two and a rest, and the rest goes through a short series. Errors are a few units in the
last place, over the whole range of float32 and of float64. A NaN stays a NaN.
"""

# An intrinsic is called without its first argument, which numba hands in:
# pyright: reportCallIssue=false

from collections.abc import Callable
from math import factorial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import float32, float64, types
from numba.extending import intrinsic, overload, register_jitable


def exp(x):
    """e^x = 2ⁿ e^r, where n is whole and |r| ≤ ½ log 2."""


def expm1(x):
    """e^x − 1, with all its digits near 0."""


def log(x):
    """log x = n log 2 + log m, where n is whole and m lies between √½ and √2."""


def log1p(x):
    """log(1 + x) = 2 artanh(x / (2 + x)) for x from 0 to 1, with all its digits near 0."""


def log1m(x):
    """log(1 − x) for x from 0 to 1, with all its digits near 0."""


def tanh(x):
    """(1 − e^−2|x|) / (1 + e^−2|x|), with the sign of x."""


def _layout(kind):
    """The whole numbers as wide as a float, the place of its exponent in them, and the float √½ in bits."""
    if kind == types.float32:
        return types.int32, ir.IntType(32), 23, int(np.float32(np.sqrt(0.5)).view(np.int32))
    return types.int64, ir.IntType(64), 52, int(np.sqrt(0.5).view(np.int64))


@intrinsic
def _exponent(typingctx, x):
    """The whole n for which x 2⁻ⁿ lies between √½ and √2."""
    number, whole, shift, edge = _layout(x)

    def codegen(context, builder, signature, arguments):
        above = builder.sub(builder.bitcast(arguments[0], whole), ir.Constant(whole, edge))
        return builder.ashr(above, ir.Constant(whole, shift))

    return number(x), codegen


@intrinsic
def _scaled(typingctx, x, n):
    """x 2ⁿ, by adding n to the exponent."""
    number, whole, shift, _ = _layout(x)

    def codegen(context, builder, signature, arguments):
        x, n = arguments
        bits = builder.add(builder.bitcast(x, whole), builder.shl(n, ir.Constant(whole, shift)))
        return builder.bitcast(bits, x.type)

    return x(x, number), codegen


def _functions(
    F: Any, whole: Any, digits: int, log2_high: float, log2_low: float, lowest: float, terms: tuple[int, int, int]
) -> dict[Callable[..., Any], Callable[..., Any]]:
    """The functions for floats F, which have so many binary `digits` after the first.

    Each series has so many `terms`, the highest power first: that of e^r − 1, of artanh near 0, of artanh up to ⅓. log
    2 comes in two parts: the first ends in zeros, so that its product with n is exact. Below `lowest` e^x is 0.
    """
    log2_e, high, low, lowest = F(1 / np.log(2)), F(log2_high), F(log2_low), F(lowest)
    zero, one, two, infinity, nan = F(0), F(1), F(2), F(np.inf), F(np.nan)
    of_exp = tuple(F(1 / factorial(k)) for k in range(1, terms[0] + 1))[::-1]
    of_artanh_near, of_artanh = (tuple(F(2 / (2 * k + 1)) for k in range(1, n + 1))[::-1] for n in terms[1:])
    least, up, log_of_up = F(np.finfo(F).tiny), F(2.0**digits), F(digits * np.log(2))

    @register_jitable
    def polynomial(x, coefficients):
        total = coefficients[0]
        for coefficient in coefficients[1:]:
            total = total * x + coefficient
        return total

    @register_jitable
    def cut(x):
        """x = n log 2 + r; e^r − 1, and n in two halves, since 2ⁿ itself may be too large or too small for a float."""
        x = lowest if x < lowest else x
        x = -lowest if x > -lowest else x
        n = np.rint(x * log2_e)
        r = (x - n * high) - n * low
        i = whole(n)
        return r * polynomial(r, of_exp), i >> 1, i - (i >> 1)

    @register_jitable
    def exp_of(x):
        p, i, j = cut(x)
        return (p + one) * _scaled(one, i) * _scaled(one, j)

    @register_jitable
    def expm1_of(x):
        p, i, j = cut(x)
        a, b, over_b = _scaled(one, i), _scaled(one, j), _scaled(one, -j)
        return (p * a + (a - over_b)) * b  # a b (p + 1) − 1, and nothing is lost if a b is 1

    @register_jitable
    def log_of_normal(x):
        i = _exponent(x)
        m, n = _scaled(x, -i), F(i)
        s = (m - one) / (m + one)  # log m = 2 artanh s, |s| < 0.172
        return n * high + (two * s + (s * (s * s) * polynomial(s * s, of_artanh_near) + n * low))

    def log_of(x):
        subnormal = x < least
        result = log_of_normal(x * up if subnormal else x) - (log_of_up if subnormal else zero)
        result = x if x == infinity else result
        result = -infinity if x == zero else result
        return result if x >= zero else nan

    def log1p_of(x):
        s = x / (two + x)  # |s| ≤ ⅓
        return s * two + s * (s * s) * polynomial(s * s, of_artanh)

    def log1m_of(x):
        u = one - x
        result = log_of_normal(u) + ((one - u) - x)  # what the difference lost
        return -infinity if u == zero else result

    def tanh_of(x):
        t = expm1_of(-two * abs(x))
        y = (zero - t) / (t + two)  # −t would make −0 of 0
        return y if x >= zero else -y

    return {exp: exp_of, expm1: expm1_of, log: log_of, log1p: log1p_of, log1m: log1m_of, tanh: tanh_of}


_FUNCTIONS = {
    float32: _functions(np.float32, np.int32, 23, 0.693359375, -2.12194440e-4, -104.0, (7, 4, 7)),
    float64: _functions(np.float64, np.int64, 52, 0.693145751953125, 1.42860682030941723212e-6, -746.0, (13, 9, 16)),
}


def _overload(function: Callable[..., Any]) -> None:
    overload(function, jit_options={"fastmath": {"contract"}})(lambda x: _FUNCTIONS[x][function])


for _function in (exp, expm1, log, log1p, log1m, tanh):
    _overload(_function)
