"""What the kernels that are written for the CPU's vector registers say to LLVM, each thing once.

An address is a number of bytes, as a 64-bit whole number; a load or a store says how its address is aligned.
"""

# An intrinsic is called without its first argument, which numba hands in:
# pyright: reportCallIssue=false

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from scratchnet.memory import LINE

_CPU = llvm.get_host_cpu_features()
AVX512 = bool(_CPU.get("avx512f"))

VECTOR = 64 if AVX512 else 32 if _CPU.get("avx2") and _CPU.get("fma") else 16
"""Bytes in a vector register."""

SUMS = 24 if AVX512 or _CPU.get("neon") else 12
"""Vector registers that hold sums, of 32 or 16; the others are for what is loaded."""

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


@intrinsic
def address(typingctx, array):
    """Where an array begins, as a number; the array must outlive its use."""

    def codegen(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, I64)

    return types.int64(array), codegen


@intrinsic
def in_full_vectors(typingctx):
    """Has LLVM use the whole of the vector registers in the function around this; of 64 bytes it would take 32."""

    def codegen(context, builder, signature, arguments):
        set.add(builder.function.attributes, f'"prefer-vector-width"="{8 * VECTOR}"')  # llvmlite has no word for it
        return context.get_dummy_value()

    return types.void(), codegen


@njit(error_model="numpy")
def aligned_vector(size, like):
    """A new vector of that array's type, empty, that begins at a line of the cache; np.empty's may begin within one."""
    array = np.empty(size + LINE // like.itemsize, like.dtype)
    first = -address(array) % LINE // array.itemsize
    return array[first : first + size]


def _asking(to_write):
    """What asks for memory from an address on, so many bytes, and does not wait; beyond an array that does no harm."""

    @intrinsic
    def ask(typingctx, begin, size):
        def codegen(context, builder, signature, arguments):
            begin, size = arguments
            pointer = ir.IntType(8).as_pointer()
            kind = ir.FunctionType(ir.VoidType(), [pointer, I32, I32, I32])
            function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            options = [ir.Constant(I32, option) for option in (to_write, 3, 1)]  # as near as can be, as data
            lines = builder.sdiv(builder.add(size, constant(LINE - 1)), constant(LINE))
            with cgutils.for_range(builder, lines) as line:
                at = builder.add(begin, builder.mul(line.index, constant(LINE)))
                builder.call(function, [builder.inttoptr(at, pointer), *options])
            return context.get_dummy_value()

        return types.void(begin, size), codegen

    return ask


fetch = _asking(to_write=0)
"""Asks for memory that will soon be read, to have it near by then."""

fetch_to_write = _asking(to_write=1)
"""Asks for memory that will soon be written, alone: a core that has a copy of it gives that up beforehand."""


def spread(builder, vector, number):
    """The number in every lane of a vector."""
    undefined = ir.Constant(vector, ir.Undefined)
    alone = builder.insert_element(undefined, number, ir.Constant(I32, 0))
    return builder.shuffle_vector(alone, undefined, ir.Constant(ir.VectorType(I32, vector.count), None))


def multiply_add(builder, a, x, total):
    """a x + total, lane by lane, rounded once."""
    vector = total.type
    bits = 32 if vector.element == ir.FloatType() else 64
    fused = ir.FunctionType(vector, [vector] * 3)
    name = f"llvm.fma.v{vector.count}f{bits}"
    return builder.call(cgutils.get_or_insert_function(builder.module, fused, name), [a, x, total])


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
