"""The instructions on vector registers that all kernels here share: the register tile and the transposed square.

A product in plain loops, compiled, loads both factors from the cache for each multiplication. Here a tile of C stays in
registers while k runs, and each loaded number is used several times. Products of 960³ are
3.5 times as fast as with the best plain loop (one core with AVX-512, chapter 16).

An address is an int64, in bytes. An array must be kept alive for as long as its address is used.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import extending, njit, types

from scratchnet.kernels.compile import FUSES, REGISTERS, VECTOR
from scratchnet.kernels.memory import LINE

SUMS = REGISTERS // 4 * 3
"""Vector registers for the sums of a tile; the others hold what is loaded."""

I64, I32 = ir.IntType(64), ir.IntType(32)

intrinsic: Any = extending.intrinsic  # it passes a function its first argument, which type checkers miss


class Grid(NamedTuple):
    """Where entry (i, j) of an operand is: at address + i · down + j · across.

    `down` and `across` are strides in bytes. Each may also be a pair (table, unit): table is the address of an array of
    int64, and the entry for i is then table[i] · unit bytes further on.
    """

    address: Any
    down: Any
    across: Any


class _Places:
    """Emits the addresses of a Grid."""

    def __init__(self, builder, kind, value):
        self._builder, self._kinds = builder, kind.types
        self._address, *self._by = [builder.extract_value(value, i) for i in range(3)]

    def row(self, i):
        """The address of row i."""
        return self._builder.add(self._address, self._further(0, i))

    def column(self, address, j):
        """The address of column j of the row at this address."""
        return self._builder.add(address, self._further(1, j))

    def _further(self, axis, index):
        by, index = self._by[axis], index if isinstance(index, ir.Value) else constant(index)
        if isinstance(self._kinds[1 + axis], types.BaseTuple):
            table, by = self._builder.extract_value(by, 0), self._builder.extract_value(by, 1)
            index = load(self._builder, self._builder.add(table, self._builder.mul(index, constant(8))), I64, 8)
        return self._builder.mul(index, by)


def _places(builder, kinds, values):
    return [_Places(builder, kind, value) for kind, value in zip(kinds, values, strict=True)]


def constant(number):
    """An integer that is known when the code is emitted."""
    return ir.Constant(I64, number)


def load(builder, address, kind, align):
    """The number or vector at an address."""
    loaded = builder.load(builder.inttoptr(address, kind.as_pointer()))
    loaded.align = align
    return loaded


def store(builder, value, address, align):
    """Writes a number or a vector to an address."""
    stored = builder.store(value, builder.inttoptr(address, value.type.as_pointer()))
    stored.align = align


def vector_of(array):
    """LLVM's vector of the numbers of a numba array, and the bytes of one number."""
    number = ir.FloatType() if array.dtype == types.float32 else ir.DoubleType()
    size = array.dtype.bitwidth // 8
    return ir.VectorType(number, VECTOR // size), size


def spread(builder, vector, number):
    """A vector with the number in every lane."""
    undefined = ir.Constant(vector, ir.Undefined)
    alone = builder.insert_element(undefined, number, ir.Constant(I32, 0))
    return builder.shuffle_vector(alone, undefined, ir.Constant(ir.VectorType(I32, vector.count), None))


def multiply_add(builder, a, x, total):
    """a x + total, lane by lane; rounded once if the CPU has the instruction."""
    if not FUSES:
        return builder.fadd(builder.fmul(a, x), total)
    vector = total.type
    name = f"llvm.fma.v{vector.count}f{32 if vector.element == ir.FloatType() else 64}"
    kind = ir.FunctionType(vector, [vector] * 3)
    return builder.call(builder.module.globals.get(name) or ir.Function(builder.module, kind, name), [a, x, total])


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
    """The sums, in registers, after steps k = 0, 1, …, each of which replaces them by `add(k, sums)`."""
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


def tile(sizes) -> Any:
    """The function that computes tiles of a product, emitted for each of these sizes, (rows, vectors of columns).

    tile(like, height, width, steps, A, B, start, C): C = start + A B, in numbers of the type of the array `like`. All
    four are Grids. An entry of A is a number, an entry of B, start and C a vector; k runs over so many
    columns of A and rows of B, two at a time.
    """

    @intrinsic
    def emitted(typingctx, like, height, width, steps, A, B, start, C):
        vector, size = vector_of(like)

        def codegen(context, builder, signature, arguments):
            height, width, steps = arguments[1:4]
            of_a, of_b, of_start, of_c = _places(builder, (A, B, start, C), arguments[4:])

            def emit(R, V):
                cells = [(r, v) for r in range(R) for v in range(V)]
                rows = [of_a.row(r) for r in range(R)]

                def add(k, sums):
                    of_k = of_b.row(k)
                    vectors = [load(builder, of_b.column(of_k, v), vector, size) for v in range(V)]
                    numbers = [load(builder, of_a.column(row, k), vector.element, size) for row in rows]
                    spreads = [spread(builder, vector, number) for number in numbers]
                    return [multiply_add(builder, spreads[r], vectors[v], sums[r * V + v]) for r, v in cells]

                def add_two(pair, sums):
                    k = builder.mul(pair, constant(2))
                    return add(builder.add(k, constant(1)), add(k, sums))

                sums = [load(builder, of_start.column(of_start.row(r), v), vector, size) for r, v in cells]
                sums = summed(builder, builder.ashr(steps, constant(1)), sums, add_two)
                last = builder.sub(steps, constant(1))
                sums = summed(builder, builder.and_(steps, constant(1)), sums, lambda _, sums: add(last, sums))
                for (r, v), result in zip(cells, sums, strict=True):
                    store(builder, result, of_c.column(of_c.row(r), v), size)

            number = builder.add(builder.mul(height, constant(64)), width)
            choose(builder, number, {64 * R + V: partial(emit, R, V) for R, V in sizes})
            return context.get_dummy_value()

        return types.void(like, *[types.int64] * 3, A, B, start, C), codegen

    return emitted


@intrinsic
def copy_square(typingctx, like, source, target, transposed):
    """Copies a square, as many vectors as a vector has lanes, as it is or with rows and columns exchanged.

    source and target are Grids of vectors with one column, in numbers of the type of the array `like`.
    """
    vector, size = vector_of(like)

    def codegen(context, builder, signature, arguments):
        sources, targets = _places(builder, (source, target), arguments[1:3])
        square = [load(builder, sources.row(j), vector, size) for j in range(vector.count)]

        def emit(arrange):
            for j, row in enumerate(arrange(square)):
                store(builder, row, targets.row(j), size)

        choose(builder, arguments[3], {0: partial(emit, list), 1: partial(emit, partial(_exchanged, builder))})
        return context.get_dummy_value()

    return types.void(like, source, target, types.int64), codegen


def _exchanged(builder, square):
    """A square, a vector for each row, with rows and columns exchanged."""
    square, lanes, side = list(square), len(square), 1
    while side < lanes:  # exchange the off-diagonal quarters of every square of 2·side
        upper = [j if not j & side else lanes + j - side for j in range(lanes)]
        lower = [j + side if not j & side else lanes + j for j in range(lanes)]
        for j in range(lanes):
            if not j & side:
                pair = square[j], square[j + side]
                for place, order in ((j, upper), (j + side, lower)):
                    lanes_of = ir.Constant(ir.VectorType(I32, lanes), [ir.Constant(I32, lane) for lane in order])
                    square[place] = builder.shuffle_vector(*pair, lanes_of)
        side *= 2
    return square


@extending.register_jitable
def address(array):
    """Where an array begins."""
    return np.int64(array.ctypes.data)


@njit(error_model="numpy")
def aligned_vector(size, like):
    """A new, empty vector of that array's type which begins at a cache line; np.empty's may begin within one."""
    array = np.empty(size + LINE // like.itemsize, like.dtype)
    first = -array.ctypes.data % LINE // array.itemsize
    return array[first : first + size]
