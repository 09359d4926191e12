"""The instructions on vector registers that all kernels here share: the register tile and the transposed square.

A product in plain loops, compiled, loads both factors from the cache for each multiplication. Here a tile of C stays in
registers while k runs, and each loaded number is used several times. Products of 960³ are 3.5 times as fast as with the
best plain loop (one core with AVX-512, chapter 16).

An address is an int64, in bytes. An array must be kept alive for as long as its address is used.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import extending, njit, types

from scratchnet.kernels.compile import FUSES, REGISTERS, VECTOR
from scratchnet.kernels.memory import LINE
from scratchnet.kernels.threads import intrinsic

SUMS = REGISTERS // 4 * 3
"""Vector registers for the sums of a tile; the others hold what is loaded."""

I64, I32 = ir.IntType(64), ir.IntType(32)


class Grid(NamedTuple):
    """Where entry (i, j) of an operand is: at address + i · down + j · across.

    `down` and `across` are strides in bytes. Each may also be a pair (table, unit): table is the address of an array of
    int64, and the entry for i is then table[i] · unit bytes further on.
    """

    address: Any
    down: Any
    across: Any


def further(builder, address, stride, index):
    """The address so many strides of a Grid further on."""
    index = index if isinstance(index, ir.Value) else constant(index)
    if stride.type != I64:  # it is a pair
        table, stride = (builder.extract_value(stride, i) for i in range(2))
        index = read(builder, further(builder, table, constant(8), index), I64)
    return builder.add(address, builder.mul(index, stride))


def entry(builder, grid, i, j):
    """The address of an entry of a Grid."""
    address, down, across = grid
    return further(builder, further(builder, address, down, i), across, j)


def parts(builder, grid):
    """The address and the two strides of a Grid."""
    return [builder.extract_value(grid, i) for i in range(3)]


def constant(number):
    """An integer that is known when the code is emitted."""
    return ir.Constant(I64, number)


def read(builder, address, kind):
    """The number or vector at an address, of which nothing is known but that numbers are of 4 bytes at least."""
    found = builder.load(builder.inttoptr(address, kind.as_pointer()))
    found.align = 4
    return found


def write(builder, value, address):
    """Writes a vector to an address."""
    builder.store(value, builder.inttoptr(address, value.type.as_pointer())).align = 4


def vector_of(array):
    """LLVM's vector of the numbers of a numba array."""
    number = ir.FloatType() if array.dtype == types.float32 else ir.DoubleType()
    return ir.VectorType(number, VECTOR * 8 // array.dtype.bitwidth)


def shuffled(builder, one, other, order):
    """The lanes of two vectors in this order, as a vector."""
    lanes = ir.Constant(ir.VectorType(I32, len(order)), [ir.Constant(I32, lane) for lane in order])
    return builder.shuffle_vector(one, other, lanes)


def spread(builder, vector, number):
    """A vector with the number in every lane."""
    undefined = ir.Constant(vector, ir.Undefined)
    alone = builder.insert_element(undefined, number, ir.Constant(I32, 0))
    return shuffled(builder, alone, undefined, [0] * vector.count)


def multiply_add(builder, a, x, total):
    """a x + total, lane by lane; rounded once if the CPU has the instruction."""
    if not FUSES:
        return builder.fadd(builder.fmul(a, x), total)
    vector = total.type
    name = f"llvm.fma.v{vector.count}f{32 if vector.element == ir.FloatType() else 64}"
    kind = ir.FunctionType(vector, [vector] * 3)
    return builder.call(builder.module.globals.get(name) or ir.Function(builder.module, kind, name), [a, x, total])


def variable(builder, value):
    """A variable of the emitted function, which LLVM keeps in a register."""
    with builder.goto_entry_block():
        place = builder.alloca(value.type)
    builder.store(value, place)
    return place


def repeat(builder, count, emit):
    """Emits a loop over i = 0 … count − 1, of which `emit(i)` emits the body."""
    counter = variable(builder, constant(0))
    test, body, end = (builder.append_basic_block(name) for name in ("test", "body", "end"))
    builder.branch(test)
    builder.position_at_end(test)
    i = builder.load(counter)
    builder.cbranch(builder.icmp_signed("<", i, count), body, end)
    builder.position_at_end(body)
    emit(i)
    builder.store(builder.add(i, constant(1)), counter)
    builder.branch(test)
    builder.position_at_end(end)


def tile(sizes, of_vectors=False) -> Any:
    """The function that computes tiles of a product, emitted for each of these sizes, (rows, vectors of columns).

    tile(like, height, width, steps, A, B, start, C): C = start + A B, in numbers of the type of the array `like`. All
    four are Grids. An entry of A is a number, or else a vector, as those of B, start and C are; k runs over so many
    columns of A and rows of B.
    """

    @intrinsic
    def emitted(typingctx, like, height, width, steps, A, B, start, C):
        vector = vector_of(like)

        def codegen(context, builder, signature, arguments):
            height, width, steps = arguments[1:4]
            (a, a_row, a_k), (b, b_k, b_column), start, C = (parts(builder, grid) for grid in arguments[4:])

            def emit(R, V):
                cells = [(r, v) for r in range(R) for v in range(V)]
                rows = [further(builder, a, a_row, r) for r in range(R)]
                from_start, to_c = ([entry(builder, grid, r, v) for r, v in cells] for grid in (start, C))
                sums = [variable(builder, read(builder, place, vector)) for place in from_start]

                def add(k):
                    of_k = further(builder, b, b_k, k)
                    vectors = [read(builder, further(builder, of_k, b_column, v), vector) for v in range(V)]
                    kind = vector if of_vectors else vector.element
                    factors = [read(builder, further(builder, row, a_k, k), kind) for row in rows]
                    factors = factors if of_vectors else [spread(builder, vector, number) for number in factors]
                    for (r, v), total in zip(cells, sums, strict=True):
                        builder.store(multiply_add(builder, factors[r], vectors[v], builder.load(total)), total)

                repeat(builder, steps, add)
                for place, total in zip(to_c, sums, strict=True):
                    write(builder, builder.load(total), place)

            wanted = builder.add(builder.mul(height, constant(64)), width)
            for R, V in sizes:  # a register has no index, so each size has code of its own
                with builder.if_then(builder.icmp_signed("==", wanted, constant(64 * R + V))):
                    emit(R, V)
            return context.get_dummy_value()

        return types.void(like, *[types.int64] * 3, A, B, start, C), codegen

    return emitted


def halved(width):
    """This width, half of it, and so on down to 1."""
    return [width, *halved(width // 2)] if width else []


@njit
def fitting(width, left):
    """The width, halved until it is no more than what is left."""
    while width > left:
        width //= 2
    return width


@intrinsic
def copy_square(typingctx, like, source, target, transposed):
    """Copies a square, as many vectors as a vector has lanes, as it is or with rows and columns exchanged.

    source and target are Grids of vectors with one column, in numbers of the type of the array `like`.
    """
    vector = vector_of(like)

    def codegen(context, builder, signature, arguments):
        grids = [parts(builder, grid) for grid in arguments[1:3]]
        sources, targets = ([entry(builder, grid, j, 0) for j in range(vector.count)] for grid in grids)
        square = [read(builder, place, vector) for place in sources]

        with builder.if_else(builder.icmp_signed("!=", arguments[3], constant(0))) as (if_transposed, otherwise):
            for case, rows in ((if_transposed, lambda: _exchanged(builder, square)), (otherwise, lambda: square)):
                with case:
                    for row, place in zip(rows(), targets, strict=True):
                        write(builder, row, place)
        return context.get_dummy_value()

    return types.void(like, source, target, types.int64), codegen


def _exchanged(builder, square):
    """A square, a vector for each row, with rows and columns exchanged."""
    square, lanes, side = list(square), len(square), 1
    while side < lanes:  # exchange the off-diagonal quarters of every square of 2·side
        upper = [j if not j & side else lanes + j - side for j in range(lanes)]
        lower = [j + side if not j & side else lanes + j for j in range(lanes)]
        for j in (j for j in range(lanes) if not j & side):
            pair = square[j], square[j + side]
            square[j], square[j + side] = shuffled(builder, *pair, upper), shuffled(builder, *pair, lower)
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
