"""The instructions on vector registers that kernels are written in, for LLVM.

An address is a number of bytes, a 64-bit integer; numba's `array.ctypes.data` is the address of an array, which must
outlive its use. A load or a store says how its address is aligned.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types

from scratchnet.kernels.compile import FUSES, REGISTERS
from scratchnet.kernels.memory import LINE

SUMS = REGISTERS // 4 * 3
"""Vector registers that hold sums; the others are for what is loaded."""

I64, I32 = ir.IntType(64), ir.IntType(32)


def constant(number):
    """A whole number that is known while the code is emitted."""
    return ir.Constant(I64, number)


def scalar(dtype):
    """LLVM's name for numba's float32 or float64."""
    return ir.FloatType() if dtype == types.float32 else ir.DoubleType()


def load(builder, address, kind, align):
    """The number or vector that stands at an address."""
    loaded = builder.load(builder.inttoptr(address, kind.as_pointer()))
    loaded.align = align
    return loaded


def store(builder, value, address, align):
    """Puts a number or a vector at an address."""
    stored = builder.store(value, builder.inttoptr(address, value.type.as_pointer()))
    stored.align = align


def declared(builder, name, kind):
    """A function of LLVM's."""
    return builder.module.globals.get(name) or ir.Function(builder.module, kind, name)


@njit(error_model="numpy")
def aligned_vector(size, like):
    """A new, empty vector of that array's type which begins at a cache line; np.empty's may begin within one."""
    array = np.empty(size + LINE // like.itemsize, like.dtype)
    first = -array.ctypes.data % LINE // array.itemsize
    return array[first : first + size]


def spread(builder, vector, number):
    """The number in every lane of a vector."""
    undefined = ir.Constant(vector, ir.Undefined)
    alone = builder.insert_element(undefined, number, ir.Constant(I32, 0))
    return builder.shuffle_vector(alone, undefined, ir.Constant(ir.VectorType(I32, vector.count), None))


def multiply_add(builder, a, x, total):
    """a x + total, lane by lane; rounded once, where the CPU can do that."""
    if not FUSES:
        return builder.fadd(builder.fmul(a, x), total)
    vector = total.type
    bits = 32 if vector.element == ir.FloatType() else 64
    fused = ir.FunctionType(vector, [vector] * 3)
    name = f"llvm.fma.v{vector.count}f{bits}"
    return builder.call(declared(builder, name, fused), [a, x, total])


def shuffled(builder, one, other, lanes):
    """These lanes of two vectors, those of the other counted on from those of the one."""
    order = ir.Constant(ir.VectorType(I32, len(lanes)), [ir.Constant(I32, lane) for lane in lanes])
    return builder.shuffle_vector(one, other, order)


def transposed(builder, block):
    """A square block, a vector for each row, with rows and columns exchanged."""
    block, lanes, side = list(block), len(block), 1
    while side < lanes:  # exchange the off-diagonal quarters of every square of 2·side
        low = [j if not j & side else lanes + j - side for j in range(lanes)]
        high = [j + side if not j & side else lanes + j for j in range(lanes)]
        for j in range(lanes):
            if not j & side:
                one, other = block[j], block[j + side]
                block[j], block[j + side] = (shuffled(builder, one, other, half) for half in (low, high))
        side *= 2
    return block


def choose(builder, number, emits):
    """Emits the code of every case, and the choice by number between them: a register has no index."""
    end, none = builder.append_basic_block("end"), builder.append_basic_block("none")
    choice = builder.switch(number, none)
    for case, emit in emits.items():
        block = builder.append_basic_block(f"case{case}")
        choice.add_case(constant(case), block)
        builder.position_at_end(block)
        emit()
        builder.branch(end)
    builder.position_at_end(none)
    builder.unreachable()
    builder.position_at_end(end)


def summed(builder, steps, before, add):
    """What stands in registers after steps k = 0, 1, …, each of which makes of the sums `add(k, sums)`."""
    loop, done = builder.append_basic_block("k"), builder.append_basic_block("done")
    entry = builder.block
    builder.cbranch(builder.icmp_signed(">", steps, constant(0)), loop, done)
    builder.position_at_end(loop)
    k = builder.phi(I64)
    sums = [builder.phi(total.type) for total in before]
    after, then = add(k, sums), builder.add(k, constant(1))
    for phi, first, next_one in zip([k, *sums], [constant(0), *before], [then, *after], strict=True):
        phi.add_incoming(first, entry)
        phi.add_incoming(next_one, loop)
    builder.cbranch(builder.icmp_signed("<", then, steps), loop, done)
    builder.position_at_end(done)
    results = []
    for first, last in zip(before, after, strict=True):
        results.append(builder.phi(last.type))
        results[-1].add_incoming(first, entry)
        results[-1].add_incoming(last, loop)
    return results
