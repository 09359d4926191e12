import numpy as np

import scratchnet as sn


def draw(rng, stride, kw):
    """A layer to compare with, an image, and what comes back, for a kernel of 3 × kw.

    The layer has a kernel of 3 × 3, of which the columns from kw on are 0; they would lie on the columns of the image
    that are left out here.
    """
    layer = sn.Conv2D(2, 3, 3, stride=stride, rng=rng, dtype=np.float64)
    layer.W[..., kw:] = 0
    layer.b[...] = rng.normal(size=3)
    x = rng.normal(size=(4, 2, 8, 7))  # one row is left over
    y, backward = layer.forward(x)
    return layer, x[..., : 7 - 3 + kw], y, backward


def told(stride, kw):
    return f"with stride {stride} and a kernel of 3 × {kw}"


SIZES = ((1, 3), (2, 3), (1, 2))  # stride and kw


def test_conv2d(ex, check, rng):
    for stride, kw in SIZES:
        layer, x, y, _ = draw(rng, stride, kw)
        W, b = layer.W[..., :kw].copy(), layer.b

        def other(W, stride=stride, x=x, b=b):
            """The result with another kernel or stride."""
            layer = sn.Conv2D(2, 3, 3, stride=stride, rng=rng, dtype=np.float64)
            layer.W[...], layer.b[...] = 0, b
            layer.W[..., : W.shape[3]] = W
            return layer.forward(np.pad(x, ((0, 0), (0, 0), (0, 0), (0, 3 - W.shape[3]))))[0]

        mistakes = {
            "The kernel is flipped: W[m, c, i, j] meets x[n, c, s p + i, s q + j].": other(W[..., ::-1, ::-1]),
            "The bias is left out.": y - b[:, None, None],
            "The bias is added once for each pixel of the kernel.": y + (3 * kw - 1) * b[:, None, None],
            "The channels are not added up: it is the share of the last one.": other(W * [[[[0]], [[1]]]]),
            "The channels are not added up: it is the share of the first one.": other(W * [[[[1]], [[0]]]]),
        }
        if kw == 3:
            mistakes["The kernel's rows and columns are exchanged."] = other(W.transpose(0, 1, 3, 2))
            mistakes["The stride is left out: x is read at s p + i."] = other(W, 1)[:, :, : y.shape[2], : y.shape[3]]
        found = np.asarray(ex.conv2d(x, W, b, stride))
        shape = f"y has the shape {found.shape}, where P = ⌊(H − kh) / s⌋ + 1 and Q make {y.shape}."
        check.that(found.shape == y.shape, f"{told(stride, kw)}, {shape}")
        check.same(found, y, mistakes, f"{told(stride, kw)}, y")


def test_conv2d_weights(ex, check, rng):
    for stride, kw in SIZES:
        layer, x, y, _ = draw(rng, stride, kw)
        dy = rng.normal(size=y.shape)

        def share(n, layer=layer, stride=stride, kw=kw, x=x, dy=dy):
            """The share of some images."""
            layer.dW[...] = 0
            layer.forward(np.pad(x[n], ((0, 0), (0, 0), (0, 0), (0, 3 - kw))))[1](dy[n])
            return layer.dW[..., :kw].copy()

        right = share(slice(None))
        mistakes = {
            "It is N = 4 times too small: only losses divide by the batch size.": right / 4,
            "It is the share of the first image: add up all of them.": share(slice(1)),
            "It is the share of the last image: add up all of them.": share(slice(3, 4)),
            "It is turned by 180°: x is read at s p − i.": right[..., ::-1, ::-1],
            "The kernel's rows and columns are exchanged.": right.swapaxes(2, 3),
            "It is the mean over the places, where their sum is meant.": right / np.prod(y.shape[2:]),
        }
        check.same(ex.conv2d_weights(dy, x, stride, 3, kw), right, mistakes, f"{told(stride, kw)}, dW")


def test_conv2d_adjoint(ex, check, rng):
    for stride, kw in SIZES:
        layer, x, y, backward = draw(rng, stride, kw)
        dy = rng.normal(size=y.shape)
        W, right = layer.W[..., :kw].copy(), backward(dy)[..., : x.shape[3]]
        overwritten, copies = np.zeros(x.shape), np.zeros(x.shape)
        for p, q in np.ndindex(y.shape[2:]):
            rows, columns = slice(stride * p, stride * p + 3), slice(stride * q, stride * q + kw)
            overwritten[:, :, rows, columns] = np.einsum("nm,mcij->ncij", dy[:, :, p, q], W)
            copies[:, :, rows, columns] += 1
        layer.W[..., :kw] = W[..., ::-1, ::-1]
        flipped = layer.forward(rng.normal(size=(4, 2, 8, 7)))[1](dy)[..., : x.shape[3]]
        mistakes = {
            "Where copies of the kernel overlap the last one is left: add them up with +=.": overwritten,
            "Where copies of the kernel overlap it is their mean: add them up.": right / np.maximum(copies, 1),
            "The kernel is flipped: the adjoint lays down W as it is.": flipped,
            "It is N = 4 times too small: only losses divide by the batch size.": right / 4,
        }
        found = ex.conv2d_adjoint(dy, W, stride, 8, x.shape[3])
        check.same(found, right, mistakes, f"{told(stride, kw)}, dx")


def test_maxpool(ex, check, rng):
    x = rng.normal(size=(2, 3, 4, 6))
    windows = x.reshape(2, 3, 2, 2, 3, 2)
    found, backward = check.several(ex.MaxPool().forward(x), "y", "backward")
    mistakes = {
        "It is the mean of each window.": windows.mean(axis=(3, 5)),
        "It is the smallest of each window.": windows.min(axis=(3, 5)),
        "It is one corner.": windows[:, :, :, 0, :, 0],
    }
    check.same(found, windows.max(axis=(3, 5)), mistakes, "y")
    dx = backward(np.ones(found.shape))
    equal = {"dy is spread over the window: it goes to the largest pixel alone.": np.full(x.shape, 0.25)}
    check.none_of(dx, equal | {"All pixels of the window get dy.": np.ones(x.shape)}, "dx")
    check.layer(ex.MaxPool, (2, 2, 4, 4))
    dx = ex.MaxPool().forward(np.array([[[[1.0, 5.0], [5.0, 5.0]]]]))[1](np.array([[[[8.0]]]]))
    told = "where pixels are equal, dy goes to the first of them alone, row by row."
    check.that(np.array_equal(dx, [[[[0.0, 8.0], [0.0, 0.0]]]]), told)
