import numpy as np

import scratchnet as sn


def test_initial_weights(ex, check, rng):
    W = np.asarray(ex.initial_weights(400, 100, rng))
    check.that(np.shape(W) == (400, 100), f"W has the shape {np.shape(W)}, where (n_in, n_out) = (400, 100) is meant.")
    largest = np.abs(W).max()
    check.that(largest <= 0.05, f"a number of W is {largest:.3f} in size, beyond 1/√n_in = 0.05 with n_in = 400.")
    check.that(abs(W.mean()) < 0.002, f"the mean of W is {W.mean():.3f}, where numbers in ±1/√n_in have 0.")
    told = f"the numbers of W have the standard deviation {W.std():.4f}, where uniform ones in ±0.05 have 0.0289."
    check.that(0.028 < W.std() < 0.030, told)
    check.drawn_from(lambda rng: ex.initial_weights(4, 3, rng))


class Gradient(np.ndarray):
    """Zeros in the shape of a parameter, that take nothing of another shape."""

    name = ""

    def __iadd__(self, term):
        if self.base is None and np.shape(term) != self.shape:
            raise AssertionError(shapes_differ(self.name, term, self))
        return super().__iadd__(term)


def shapes_differ(name, gradient, parameter):
    shapes = f"d{name} has shape {np.shape(gradient)}, {name} has {np.shape(parameter)}"
    return f"{shapes}: which axis is summed? The sum is over the examples, axis 0 of x and of dy."


def test_dense(ex, check, rng):
    layer = ex.Dense(3, 3, rng)
    for name in layer.parameter_names:
        gradient = Gradient((3, 3) if name == "W" else 3)
        gradient[...], gradient.name = 0, name
        setattr(layer, f"d{name}", gradient)
    x, dy = rng.normal(size=(2, 5, 3))
    dx = layer.forward(x)[1](dy)
    check.that(not isinstance(dx, tuple), "backward returns dx alone; dW and db are added to self.dW and self.db.")
    for name in layer.parameter_names:
        gradient, parameter = getattr(layer, f"d{name}"), getattr(layer, name)
        check.that(np.shape(gradient) == parameter.shape, shapes_differ(name, gradient, parameter))

    check.layer(lambda: ex.Dense(3, 3, rng), (5, 3))
    check.layer(lambda: ex.Dense(4, 2, rng), (5, 4))


def test_sequential(ex, check, rng):
    layers = [sn.Dense(3, 3, rng=rng, dtype=np.float64), sn.Tanh(), sn.Dense(3, 3, rng=rng, dtype=np.float64)]
    x = rng.normal(size=(5, 3))
    y = x
    for layer in layers:
        y, _ = layer.forward(y)
    found, _ = check.several(ex.Sequential(*layers).forward(x), "y", "backward")
    mistakes = {
        "It is what the first layer returns.": layers[0].forward(x)[0],
        "It is x itself.": x,
        "Each layer gets x, where it is to get the y of the one before.": layers[-1].forward(x)[0],
    }
    check.same(found, y, mistakes, "y")

    called = []

    class Spy(sn.Layer):
        def __init__(self, name):
            self.name = name

        def forward(self, x):
            return x.copy(), lambda dy: (called.append(self.name), dy.copy())[1]

    ex.Sequential(Spy(1), Spy(2), Spy(3)).forward(x)[1](x)
    check.that(
        called == [3, 2, 1], f"the backward passes ran in the order {called}, where the last layer's comes first."
    )
    check.layer(lambda: ex.Sequential(*layers), (5, 3))
