"""Diagrams of chapter 06: the sliding window, patches as rows, the stamps of the adjoint, and A with its transpose."""

from sketch import BLUE, FAINT, GOLD, GRADIENT, INK, PALE, PALE_BLUE, PALE_GOLD, PALE_PLUM, PAPER, PLUM, Sketch

CELL = 34


def window() -> Sketch:
    """One kernel at two places of an image."""
    s = Sketch(
        "A kernel slides over an image",
        "An image of 5 rows and 5 columns. The window of 3 by 3 pixels at the top left makes the first output, the "
        "window two places further right the third. Both use the same nine weights. A column of pixels lies in both "
        "windows.",
        280,
    )
    x, y = 50, 56
    s.grid(x, y, CELL, [[PALE] * 5] * 5)
    s.grid(x, y, CELL, [[PALE_BLUE] * 3] * 3)
    s.grid(x + 2 * CELL, y, CELL, [[PALE_GOLD] * 3] * 3)
    s.grid(x + 2 * CELL, y, CELL, [["#dfe5da"]] * 3)
    s.box(x + 1.5 * CELL, y + 1.5 * CELL, 3 * CELL, 3 * CELL, fill="none", color=BLUE, stroke=2.5, round_by=0)
    s.box(x + 3.5 * CELL, y + 1.5 * CELL, 3 * CELL, 3 * CELL, fill="none", color=GOLD, stroke=2.5, round_by=0)
    s.text(x + 2.5 * CELL, 30, "image $x$")
    s.small(x + 2.5 * CELL, y + 5 * CELL + 20, "$(N, C, H, W)$")
    kernel = (300, y + 17)
    s.grid(
        *kernel, CELL, [[PALE] * 3] * 3, words=[[f"$W_{{{i}{j}}}$" for j in range(3)] for i in range(3)], color=FAINT
    )
    s.text(351, 30, "one kernel $W$")
    s.small(351, y + 5 * CELL + 20, "$(M, C, kh, kw)$")
    out = (510, y + 17)
    s.grid(*out, CELL, [[PALE_BLUE, PALE, PALE_GOLD], [PALE] * 3, [PALE] * 3])
    s.box(out[0] + 17, out[1] + 17, CELL, CELL, fill="none", color=BLUE, stroke=2.5, round_by=0)
    s.box(out[0] + 85, out[1] + 17, CELL, CELL, fill="none", color=GOLD, stroke=2.5, round_by=0)
    s.text(561, 30, "output $y$")
    s.small(561, y + 5 * CELL + 20, "$(N, M, P, Q)$")
    s.text(260, y + 68, "·")
    s.text(456, y + 68, "=")
    s.small(351, y + 3 * CELL + 40, "used at every place", INK)
    return s


def patches() -> Sketch:
    """The pixels under the kernel as rows of an array, which a matrix product takes."""
    s = Sketch(
        "Patches as rows",
        "An image of the nine pixels a to i. The four windows of 2 by 2 pixels become the four rows of an array, "
        "which is multiplied by the four weights of the kernel. The pixel e is in every row, so its gradient is a "
        "sum of four.",
        290,
    )
    rows = ["abde", "bcef", "degh", "efhi"]
    y = 80
    s.grid(
        40,
        y + 17,
        CELL,
        [[PALE, PALE, PALE], [PALE, PALE_BLUE, PALE], [PALE] * 3],
        words=[[f"${letter}$" for letter in line] for line in ("abc", "def", "ghi")],
        size=16,
    )
    s.text(91, 36, "image $x$")
    s.arrow((154, y + 60), (234, y + 60))
    s.small(194, y + 44, "copy", INK)
    s.arrow((234, y + 78), (156, y + 78), color=GRADIENT)
    s.small(194, y + 94, "add back", GRADIENT)
    fills = [[PALE_BLUE if letter == "e" else PALE for letter in row] for row in rows]
    s.grid(246, y, CELL, fills, words=[[f"${letter}$" for letter in row] for row in rows], size=16)
    s.text(314, 36, "patches $X$")
    s.text(314, 58, "one row for each place", FAINT, 14)
    s.text(406, y + 68, "·")
    s.grid(430, y, CELL, [[PAPER]] * 4, words=[[f"$W_{{{i}{j}}}$"] for i in (0, 1) for j in (0, 1)], color=FAINT)
    s.text(447, 36, "kernel")
    s.text(494, y + 68, "=")
    s.grid(520, y, CELL, [[PALE]] * 4, words=[[f"$y_{{{p}{q}}}$"] for p in (0, 1) for q in (0, 1)])
    s.text(537, 36, "output")
    s.small(600, y + 68, "then $2 × 2$", anchor="middle")
    s.text(314, y + 4 * CELL + 30, "$de = dX_{03} + dX_{12} + dX_{21} + dX_{30}$", GRADIENT)
    s.small(314, y + 4 * CELL + 54, "the gradient of $e$: the sum over its four copies")
    return s


def stamps() -> Sketch:
    """The transposed convolution: each pixel adds a copy of the kernel."""
    s = Sketch(
        "A transposed convolution stamps its kernel",
        "Four pixels of a small image each add a copy of a kernel of 3 by 3, multiplied by the pixel, to a larger "
        "image of 5 by 5. The copies are two pixels apart and overlap: by one column or row where two lie, in the "
        "middle where four lie.",
        290,
    )
    y = 60
    colors = ((BLUE, PALE_BLUE), (GOLD, PALE_GOLD), (PLUM, PALE_PLUM), (INK, PALE))
    s.text(84, 30, "pixels of $x$")
    for k, (color, fill) in enumerate(colors):
        s.box(
            67 + 34 * (k % 2),
            y + 68 + 34 * (k // 2),
            34,
            34,
            f"$x_{{{k // 2}{k % 2}}}$",
            fill=fill,
            color=color,
            round_by=0,
        )
    s.text(162, y + 85, "·")
    s.grid(
        192,
        y + 34,
        CELL,
        [[PAPER] * 3] * 3,
        color=FAINT,
        words=[[f"$W_{{{i}{j}}}$" for j in range(3)] for i in range(3)],
    )
    s.text(243, 30, "kernel")
    s.arrow((308, y + 85), (366, y + 85))
    left = 385
    counts = [[(2 if p == 2 else 1) * (2 if q == 2 else 1) for q in range(5)] for p in range(5)]
    shades = {1: PAPER, 2: "#ecebe6", 4: "#d5d3cb"}
    s.grid(
        left,
        y,
        CELL,
        [[shades[count] for count in row] for row in counts],
        words=[[str(count) for count in row] for row in counts],
    )
    for k, (color, _) in enumerate(colors):
        inset = 2.5 * k - 3
        corner = (left + (1.5 + 2 * (k % 2)) * CELL, y + (1.5 + 2 * (k // 2)) * CELL)
        s.box(*corner, 3 * CELL - inset, 3 * CELL - inset, fill="none", color=color, stroke=2, round_by=0)
    s.text(left + 85, 30, "copies on each pixel of $y$")
    s.text(left + 194, y + 68, "kernel 3", anchor="start")
    s.text(left + 194, y + 92, "stride 2", anchor="start")
    s.small(340, 262, "where copies overlap they add up; unequal numbers of copies are seen as a chequerboard")
    return s


def band_matrix(s: Sketch, x: float, y: float, transposed: bool) -> None:
    """The matrix of a convolution of five numbers by three weights, or its transpose."""
    weights = {0: "$W_0$", 1: "$W_1$", 2: "$W_2$"}
    places = [[(j - i) for j in range(5)] for i in range(3)]
    if transposed:
        places = [list(column) for column in zip(*places, strict=True)]
    fills = {0: PALE_BLUE, 1: PALE_GOLD, 2: PALE_PLUM}
    s.grid(
        x,
        y,
        CELL,
        [[fills.get(k, PAPER) for k in row] for row in places],
        words=[[weights.get(k, "0") for k in row] for row in places],
    )


def bands() -> Sketch:
    """The matrix A of a small convolution, and its transpose."""
    s = Sketch(
        "A convolution as a band matrix, and its transpose",
        "At the left y = A x: three outputs, five inputs, and in each row of A the three weights, one place further "
        "right than in the row above. At the right dx = A transposed times dy: the same weights, in columns.",
        290,
    )
    y = 62
    s.text(180, 30, "$y = A x$")
    s.grid(30, y + CELL, CELL, [[PALE]] * 3, words=[[f"$y_{p}$"] for p in range(3)])
    s.text(79, y + 85, "=")
    band_matrix(s, 95, y + CELL, transposed=False)
    s.grid(280, y, CELL, [[PALE]] * 5, words=[[f"$x_{u}$"] for u in range(5)])
    s.text(180, 256, "a convolution: 5 to 3")
    s.text(505, 30, "$dx = A^T dy$", GRADIENT)
    s.grid(390, y, CELL, [[PALE]] * 5, words=[[f"$dx_{u}$"] for u in range(5)])
    s.text(439, y + 85, "=")
    band_matrix(s, 455, y, transposed=True)
    s.grid(572, y + CELL, CELL, [[PALE]] * 3, words=[[f"$dy_{p}$"] for p in range(3)])
    s.text(505, 256, "a transposed convolution: 3 to 5", GRADIENT)
    return s


def pooling() -> Sketch:
    """The largest number of each window goes on, and its place gets the whole gradient."""
    s = Sketch(
        "Max-pooling, forwards and backwards",
        "An image of 4 by 4 numbers in four windows. The largest of each window goes to the output. Backwards, each "
        "number of dy goes to the place of that largest number; all other places get 0.",
        250,
    )
    image = ((1, 5, 2, 0), (3, 2, 4, 1), (0, 1, 6, 2), (7, 3, 1, 5))
    fills = ((PALE_BLUE, PALE_GOLD), (PALE_PLUM, PALE))
    largest = {(0, 1): "a", (1, 2): "b", (3, 0): "c", (2, 2): "d"}
    y = 56
    colors = [[fills[i // 2][j // 2] for j in range(4)] for i in range(4)]
    only = [[colors[i][j] if (i, j) in largest else PAPER for j in range(4)] for i in range(4)]
    s.grid(60, y, CELL, colors, words=[[str(one) for one in row] for row in image], color=FAINT)
    for i, j in largest:
        s.box(60 + (j + 0.5) * CELL, y + (i + 0.5) * CELL, CELL - 5, CELL - 5, fill="none", stroke=2.2, round_by=3)
    s.arrow((210, y + 68), (256, y + 68))
    s.grid(270, y + CELL, CELL, fills, words=[["5", "4"], ["7", "6"]], color=FAINT)
    s.grid(386, y + CELL, CELL, [[PAPER] * 2] * 2, words=[["$a$", "$b$"], ["$c$", "$d$"]], color=GRADIENT)
    s.arrow((468, y + 68), (514, y + 68), color=GRADIENT)
    s.grid(
        528,
        y,
        CELL - 3,
        only,
        color=FAINT,
        words=[[f"${largest[i, j]}$" if (i, j) in largest else "0" for j in range(4)] for i in range(4)],
    )
    for x, words, color in ((128, "$x$", INK), (304, "$y$", INK), (420, "$dy$", GRADIENT), (590, "$dx$", GRADIENT)):
        s.text(x, 28, words, color)
    s.small(340, 222, "framed: the largest of each window")
    return s


ALL = (window, patches, stamps, bands, pooling)
