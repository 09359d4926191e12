import numpy as np

import scratchnet as sn


def draw(rng, stride=2):
    """A layer to compare with, an image, and what comes back."""
    layer = sn.Conv2D(2, 3, 3, stride=stride, rng=rng, dtype=np.float64)
    layer.b[...] = rng.normal(size=3)
    x = rng.normal(size=(4, 2, 8, 7))  # one row is left over
    y, backward = layer.forward(x)
    return layer, x, y, backward


def test_conv2d(ex, check, rng):
    for stride in (1, 2):
        layer, x, y, _ = draw(rng, stride)
        W, b = layer.W.copy(), layer.b
        layer.W[...] = W[..., ::-1, ::-1]
        flipped = layer.forward(x)[0]
        layer.W[...] = W.transpose(0, 1, 3, 2)
        mistakes = {
            "The kernel is flipped: W[m, c, i, j] meets x[n, c, s p + i, s q + j].": flipped,
            "The kernel's rows and columns are exchanged.": layer.forward(x)[0],
            "The bias is left out.": y - b[:, None, None],
        }
        found = np.asarray(ex.conv2d(x, W, b, stride))
        told = (
            f"with stride {stride}, y has the shape {found.shape}, where P = ⌊(H − kh) / s⌋ + 1 and Q make {y.shape}."
        )
        check.that(found.shape == y.shape, told)
        check.same(found, y, mistakes, f"with stride {stride}, y")


def test_conv2d_weights(ex, check, rng):
    for stride in (1, 2):
        layer, x, y, backward = draw(rng, stride)
        dy = rng.normal(size=y.shape)
        backward(dy)
        right = layer.dW.copy()
        layer.dW[...] = 0
        layer.forward(x[:1])[1](dy[:1])
        mistakes = {
            "It is N = 4 times too small: only losses divide by the batch size.": right / 4,
            "It is the share of the first image: add up all of them.": layer.dW,
            "It is turned by 180°: x is read at s p − i.": right[..., ::-1, ::-1],
            "It is the mean over the places, where their sum is meant.": right / np.prod(y.shape[2:]),
        }
        check.same(ex.conv2d_weights(dy, x, stride, 3, 3), right, mistakes, f"with stride {stride}, dW")


def test_conv2d_adjoint(ex, check, rng):
    for stride in (1, 2):
        layer, x, y, backward = draw(rng, stride)
        dy = rng.normal(size=y.shape)
        W, right = layer.W.copy(), backward(dy)
        overwritten = np.zeros(x.shape)
        for p, q in np.ndindex(y.shape[2:]):
            rows, columns = slice(stride * p, stride * p + 3), slice(stride * q, stride * q + 3)
            overwritten[:, :, rows, columns] = np.einsum("nm,mcij->ncij", dy[:, :, p, q], W)
        layer.W[...] = W[..., ::-1, ::-1]
        mistakes = {
            "Where copies of the kernel overlap the last one is left: add them up with +=.": overwritten,
            "The kernel is flipped: the adjoint lays down W as it is.": layer.forward(x)[1](dy),
        }
        found = ex.conv2d_adjoint(dy, W, stride, 8, 7)
        check.same(found, right, mistakes, f"with stride {stride}, dx")


def test_maxpool(ex, check, rng):
    x = rng.normal(size=(2, 3, 4, 6))
    windows = x.reshape(2, 3, 2, 2, 3, 2)
    found = ex.MaxPool().forward(x)
    check.that(isinstance(found, tuple) and len(found) == 2, "forward returns two things, y and backward.")
    mistakes = {
        "It is the mean of each window.": windows.mean(axis=(3, 5)),
        "It is the smallest of each window.": windows.min(axis=(3, 5)),
        "It is one corner.": windows[:, :, :, 0, :, 0],
    }
    check.same(found[0], windows.max(axis=(3, 5)), mistakes, "y")
    dx = found[1](np.ones(found[0].shape))
    equal = {"dy is spread over the window: it goes to the largest pixel alone.": np.full(x.shape, 0.25)}
    check.none_of(dx, equal | {"All pixels of the window get dy.": np.ones(x.shape)}, "dx")
    check.layer(ex.MaxPool, (2, 2, 4, 4))
    dx = ex.MaxPool().forward(np.array([[[[1.0, 5.0], [5.0, 5.0]]]]))[1](np.array([[[[8.0]]]]))
    told = "where pixels are equal, dy goes to the first of them alone, row by row."
    check.that(np.array_equal(dx, [[[[0.0, 8.0], [0.0, 0.0]]]]), told)
