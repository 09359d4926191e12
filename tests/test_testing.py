"""scratchnet.testing: it passes what is right, and names the lowest law that is broken."""

import contextlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import scratchnet as sn
from scratchnet import kernels
from scratchnet.testing import check_layer, check_loss
from scratchnet.testing.strategies import EDGES, LARGE, arrays


class Scale(sn.Layer):
    """y = x · w, one weight per column; `mistake` is what is planted."""

    parameter_names = ("w",)

    def __init__(self, n: int, mistake: str = ""):
        self.w, self.dw = np.full(n, 1.5), np.zeros(n)
        self.mistake, self.noise, self.arrays = mistake, np.random.default_rng(0), {}

    def forward(self, x):
        if self.mistake == "writes into x":
            x *= 2
        if self.mistake == "writes into x what it holds":
            np.clip(x, -10, 10, out=x)
        if self.mistake == "returns x itself":
            return x, lambda dy: dy.copy()
        if self.mistake in ("keeps x on self", "takes the last batch back only"):
            self.x = x
        self.first = x[0, 0]
        y = x * self.w  # (N, D)
        if self.mistake == "centres over the batch":
            y -= y.mean(axis=0)
        if self.mistake == "adds a millionth of the batch's mean":
            y += 1e-6 * y.mean(axis=0)
        if self.mistake == "draws noise of its own":
            y += self.noise.standard_normal(y.shape)

        def backward(dy):
            of = self.x if self.mistake == "keeps x on self" else x
            if self.mistake == "takes the last batch back only" and self.x is not x:
                raise RuntimeError("the graph is gone")
            if self.mistake == "writes into dy":
                dy *= 2
            if self.mistake == "writes into a dy that it can write to":
                dy = np.require(dy, requirements="W")
                dy *= 2
            if self.mistake == "writes into dy what it holds":
                np.clip(dy, -10, 10, out=dy)
            if self.mistake == "clips dy":
                dy = np.clip(dy, -0.5, 0.5)
            if self.mistake == "keeps a number on self":
                dy = dy * self.first
            dw = (dy * of).sum(axis=0)
            if self.mistake == "divides by the batch size":
                dw /= len(x)
            if self.mistake == "doubles dw":
                dw *= 2
            if self.mistake == "trains in backward":
                self.w -= 0.1 * dw
            if self.mistake == "puts other weights in place of w":
                self.w = self.w - 0.1 * dw
            if self.mistake == "overwrites dw":
                self.dw[...] = dw
            else:
                self.dw += dw
            dx = dy * self.w
            if self.mistake == "returns one array again and again":
                kept = self.arrays.setdefault(dx.shape, dx)
                kept[...] = dx
                return kept
            return dx - dx.mean(axis=0) if self.mistake == "centres over the batch" else dx

        return y, backward


BROKEN = {
    "writes into x": "Law 1 (mutate only what you made)",
    "writes into dy": "Law 1 (mutate only what you made)",
    "writes into a dy that it can write to": "Law 1 (mutate only what you made)",
    "writes into dy what it holds": "Law 1 (mutate only what you made)",
    "writes into x what it holds": "Law 1 (mutate only what you made)",
    "returns x itself": "Law 1 (mutate only what you made)",
    "trains in backward": "Law 1 (mutate only what you made)",
    "puts other weights in place of w": "Law 1 (mutate only what you made)",
    "returns one array again and again": "Law 1 (mutate only what you made)",
    "clips dy": "Law 2 (linear in dy)",
    "draws noise of its own": "Law 3 (re-entrant)",
    "keeps x on self": "Law 3 (re-entrant)",
    "keeps a number on self": "Law 3 (re-entrant)",
    "takes the last batch back only": "Law 3 (re-entrant)",
    "overwrites dw": "Law 4 (accumulates)",
    "centres over the batch": "Law 5 (independent rows)",
    "adds a millionth of the batch's mean": "Law 5 (independent rows)",
    "divides by the batch size": "Law 5 (independent rows)",
    "doubles dw": "Law 6 (true)",
}


def test_a_right_layer_passes(rng):
    check_layer(lambda: Scale(3), (4, 3), rng=rng)


@pytest.mark.parametrize("mistake", BROKEN)
def test_the_lowest_law_that_is_broken_is_named(mistake, rng):
    with pytest.raises(sn.LawError) as caught:
        check_layer(lambda: Scale(3, mistake), (4, 3), rng=rng)
    assert str(caught.value).startswith(f"{BROKEN[mistake]}: Scale")
    assert caught.value.law == int(BROKEN[mistake][4])
    assert str(caught.value).endswith(".")


def test_a_layer_that_depends_on_the_engine_breaks_law_7(rng, monkeypatch):
    engines = ["vector"]

    @contextlib.contextmanager
    def use(engine):
        engines.append(engine)
        yield
        engines.pop()

    class Depends(Scale):
        def forward(self, x):
            y, backward = super().forward(x)
            c = 1.001 if engines[-1] == "numpy" else 1.0
            return c * y, lambda dy: backward(c * dy)

    monkeypatch.setattr(kernels, "use", use)
    monkeypatch.setattr(kernels, "active", lambda: engines[-1])
    with pytest.raises(sn.LawError, match=r"Law 7 .* that is what the formulas in NumPy give"):
        check_layer(lambda: Depends(3), (4, 3), rng=rng)


def test_a_gradient_is_called_by_its_name_beside_parameters(rng):
    class Shares(Scale):
        """Passes dx back as the mean over the batch, while dw is right."""

        def forward(self, x):
            y, backward = super().forward(x)
            return y, lambda dy: backward(dy) / len(dy)

    with pytest.raises(sn.LawError, match=r"Law 5 .*: dx\[0, 0\] is .*: row 0 by itself"):
        check_layer(lambda: Shares(3), (4, 3), rng=rng)


def test_a_layer_that_mixes_rows_on_purpose_may_say_so(rng):
    class Centre(sn.Layer):
        """y = x − its mean over the batch."""

        def forward(self, x):
            return x - x.mean(axis=0), lambda dy: dy - dy.mean(axis=0)

    with pytest.raises(sn.LawError, match="Law 5"):
        check_layer(Centre, (4, 3), rng=rng)
    check_layer(Centre, (4, 3), rng=rng, independent_rows=False)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: sn.Dense(3, 2, rng=np.random.default_rng(0), dtype=np.float64), (4, 3)),
        (sn.ReLU, (4, 3)),
        (lambda: sn.Conv2D(1, 2, 3, rng=np.random.default_rng(0), dtype=np.float64), (2, 1, 4, 4)),
        (lambda: sn.Sequential(sn.Flatten(), sn.Tanh()), (3, 2, 2)),
    ],
)
def test_the_layers_of_the_library_pass(make, shape, rng):
    check_layer(make, shape, rng=rng)


class Counts(sn.Layer):
    """y = x − a running mean, which `learns`; as `learns` says, it keeps the rules or not."""

    state_names = ("mean",)

    def __init__(self, learns: str = "in training"):
        self.mean, self.learns = np.zeros(3), learns

    def forward(self, x):
        y = x - self.mean
        if self.learns == "in place" or self.training:
            self.mean += x.mean(axis=0)
        if self.learns == "by a new array":
            self.mean = self.mean + x.mean(axis=0)
        return y, lambda dy: dy.copy()


def test_a_state_that_changes_in_training_alone_passes(rng):
    check_layer(Counts, (4, 3), rng=rng)


@pytest.mark.parametrize("learns", ["in place", "by a new array"])
def test_a_state_that_changes_outside_training_breaks_law_1(learns, rng):
    with pytest.raises(sn.LawError, match=r"^Law 1 .*: Sequential\(Counts\(\)\): it changes its state 0\.mean while"):
        check_layer(lambda: sn.Sequential(Counts(learns)), (4, 3), rng=rng)


class Skips(sn.Layer):
    """y = x · w, which can leave out dx; `mistake` is what is planted."""

    parameter_names, skips_dx = ("w",), True

    def __init__(self, mistake: str = ""):
        self.w, self.dw, self.mistake = np.full(3, 1.5), np.zeros(3), mistake

    def forward(self, x):
        def backward(dy, need_dx=True):
            if need_dx or self.mistake != "leaves out dw too":
                self.dw[...] += (dy * x).sum(axis=0)
            if not need_dx and self.mistake == "writes into dy":
                dy *= 2
            if not need_dx and self.mistake == "trains":
                self.w -= 0.1 * self.dw
            if not need_dx and self.mistake == "overwrites dw":
                self.dw[...] = (dy * x).sum(axis=0)
            return dy * self.w if need_dx else None

        return x * self.w, (lambda dy: backward(dy)) if self.mistake == "does not take need_dx" else backward


def test_a_layer_that_can_leave_out_dx_passes(rng):
    check_layer(Skips, (4, 3), rng=rng)


@pytest.mark.parametrize("mistake", ["leaves out dw too", "overwrites dw", "does not take need_dx"])
def test_a_layer_that_leaves_out_more_than_dx_breaks_law_6(mistake, rng):
    with pytest.raises(sn.LawError, match=r"^Law 6 \(true\): Skips\(\): .*need_dx=False") as caught:
        check_layer(lambda: Skips(mistake), (4, 3), rng=rng)
    assert caught.value.law == 6


@pytest.mark.parametrize(("mistake", "array"), [("writes into dy", "dy"), ("trains", "w")])
def test_a_layer_that_changes_another_array_as_it_leaves_out_dx_breaks_law_1(mistake, array, rng):
    with pytest.raises(sn.LawError, match=rf"^Law 1 .*: {array}\[.* need_dx=False\) changes it: compute a new"):
        check_layer(lambda: Skips(mistake), (4, 3), rng=rng)


def test_a_layer_of_single_precision_passes(rng):
    check_layer(lambda: sn.Dense(3, 2, rng=rng), (4, 3), rng=rng, dtype=np.float32)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: sn.Dense(3, 2, rng=np.random.default_rng(0)), (5, 3)),
        (lambda: sn.Dense(100, 50, rng=np.random.default_rng(0)), (32, 100)),
        (sn.Tanh, (5, 3)),
        (lambda: sn.Conv2D(2, 3, 3, rng=np.random.default_rng(0)), (3, 2, 5, 5)),
    ],
)
def test_a_layer_of_half_precision_passes(make, shape, rng):
    check_layer(make, shape, rng=rng, dtype=np.float16)


@pytest.mark.parametrize("mistake", ["clips dy", "overwrites dw", "divides by the batch size"])
def test_a_mistake_is_told_by_its_law_in_half_precision_too(mistake, rng):
    with pytest.raises(sn.LawError, match=re.escape(BROKEN[mistake])):
        check_layer(lambda: Scale(3, mistake), (4, 3), rng=rng, dtype=np.float16)


# ---- what is seen only while training, away from special values, or in another type


class Of(sn.Layer):
    """A layer with one parameter w, whose forward pass is handed in: (layer, x) → y, backward."""

    parameter_names, state_names = ("w",), ("mean",)

    def __init__(self, forward, w=1.0, dtype: Any = np.float64):
        self.w, self.dw, self.mean = np.full(3, w, dtype), np.zeros(3, dtype), np.zeros(3, dtype)
        self._forward = forward

    def forward(self, x):
        return self._forward(self, x)

    def adds(self, dw, dx):
        self.dw += dw.sum(axis=0)
        return dx


def batch_norm(dx):
    """y = w h with h = s (x − mean), whose dx in training is handed in: (s, h, dh) → dx."""

    def forward(layer, x):
        training, mean, var = layer.training, layer.mean, 1.0
        if training:
            mean, var = x.mean(axis=0), x.var(axis=0)
            layer.mean = 0.9 * layer.mean + 0.1 * mean
        s = (var + 1e-5) ** -0.5
        h = s * (x - mean)

        def backward(dy):
            dh = dy * layer.w
            return layer.adds(dy * h, dx(s, h, dh) if training else s * dh)

        return layer.w * h, backward

    return forward


def right_dx(s, h, dh):
    return s * (dh - dh.mean(axis=0) - h * (dh * h).mean(axis=0))


def while_training(mistake):
    """y = w x, with this backward pass while training: (layer, x, dy) → dx."""

    def forward(layer, x):
        backward = mistake if layer.training else lambda layer, x, dy: layer.adds(dy * x, dy * layer.w)
        return layer.w * x, lambda dy: backward(layer, x, dy)

    return forward


NOISE = np.random.default_rng(0)


def in_place(layer, x, dy):
    dy *= layer.w
    return layer.adds(dy * x / layer.w, dy)


def kept_on_self(layer, x):
    layer.x = x if layer.training else None
    return layer.w * x, lambda dy: layer.adds(dy * (layer.x if layer.x is not None else x), dy * layer.w)


def noise_of_its_own(layer, x):
    mask = 2.0 * (NOISE.random(x.shape) < 0.5) if layer.training else np.ones_like(x)
    return layer.w * x * mask, lambda dy: layer.adds(dy * x * mask, dy * layer.w * mask)


WRONG_WHILE_TRAINING = {
    "mean and variance taken as constant": (batch_norm(lambda s, h, dh: s * dh), 6),
    "variance taken as constant": (batch_norm(lambda s, h, dh: s * (dh - dh.mean(axis=0))), 6),
    "another factor": (while_training(lambda layer, x, dy: layer.adds(dy * x, 2 * dy * layer.w)), 6),
    "no dw": (while_training(lambda layer, x, dy: dy * layer.w), 6),
    "writes into dy": (while_training(in_place), 1),
    "keeps x on self": (kept_on_self, 3),
    "draws noise of its own": (noise_of_its_own, 3),
}


@pytest.mark.parametrize("mistake", WRONG_WHILE_TRAINING)
def test_a_mistake_that_shows_only_in_training_is_found(mistake, rng):
    forward, law = WRONG_WHILE_TRAINING[mistake]
    with pytest.raises(sn.LawError, match=rf"^Law {law} .*Sequential\(Tanh\(\), Of\(\)\) while training: "):
        check_layer(lambda: sn.Sequential(sn.Tanh(), Of(forward)), (5, 3), rng=rng, independent_rows=False)


def test_rows_that_mix_only_in_training_break_law_5(rng):
    with pytest.raises(sn.LawError, match=r"^Law 5 .*Of\(\) while training: y"):
        check_layer(lambda: Of(batch_norm(right_dx)), (5, 3), rng=rng)


class Moves(Counts):
    """y = x − a running mean, which includes x while training."""

    def forward(self, x):
        if self.training:
            self.mean *= 0.9
            self.mean += 0.1 * x.sum()
        mean = self.mean.copy()
        return x - mean, lambda dy: dy - 0.1 * self.training * dy.sum()


@pytest.mark.parametrize("make", [lambda: Of(batch_norm(right_dx)), Moves, lambda: sn.Sequential(Counts(), Moves())])
def test_a_right_layer_that_learns_in_training_passes(make, rng):
    check_layer(make, (5, 3), rng=rng, independent_rows=False)


def test_checking_leaves_a_layer_that_make_keeps_as_it_was(rng):
    layer = Of(batch_norm(right_dx))
    check_layer(lambda: layer, (5, 3), rng=rng, independent_rows=False)
    assert not layer.training
    assert (layer.w == 1).all()
    assert not layer.mean.any()


class Unnamed(Of):
    """Its running mean is not among its states."""

    state_names = ()


def test_what_is_learnt_in_training_but_is_no_state_breaks_law_3(rng):
    with pytest.raises(sn.LawError, match=r"^Law 3 .*: name all that it learns in state_names, or it is not saved\.$"):
        check_layer(lambda: Unnamed(batch_norm(right_dx)), (5, 3), rng=rng, independent_rows=False)


FAR = {  # mistakes that small numbers do not show
    "a bound of 6 has no mask": (lambda layer, x: (np.clip(x, 0, 6), lambda dy: dy * (x > 0)), 6),
    "dy is clipped at 10": (lambda layer, x: (2 * x, lambda dy: 2 * np.clip(dy, -10, 10)), 2),
    "dy is clipped at 10,000": (lambda layer, x: (2 * x, lambda dy: 2 * np.clip(dy, -1e4, 1e4)), 2),
    "dy is shortened to 100": (lambda layer, x: (2 * x, lambda dy: dy * min(2, 100 / np.linalg.norm(dy))), 2),
}


@pytest.mark.parametrize("mistake", FAR)
def test_a_mistake_in_large_numbers_is_found(mistake, rng):
    forward, law = FAR[mistake]
    with pytest.raises(sn.LawError, match=rf"^Law {law} "):
        check_layer(lambda: Of(forward), (5, 3), rng=rng)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gradient_that_is_zero_but_for_rounding_passes(dtype, rng):
    def make():
        return sn.Sequential(sn.Dense(4, 3, rng=np.random.default_rng(0)), Of(batch_norm(right_dx), dtype=np.float32))

    check_layer(make, (5, 4), rng=rng, dtype=dtype, independent_rows=False)


HIDDEN = {  # by the value at which the parameter starts: the formula with its wrong backward pass
    "w x, w forgotten": (1, lambda layer, x: (layer.w * x, lambda dy: layer.adds(dy * x, dy.copy()))),
    "w x, w squared": (1, lambda layer, x: (layer.w * x, lambda dy: layer.adds(dy * x, dy * layer.w**2))),
    "w² x, w forgotten": (1, lambda layer, x: (layer.w**2 * x, lambda dy: layer.adds(2 * dy * x, dy * layer.w**2))),
    "x / w, multiplied": (1, lambda layer, x: (x / layer.w, lambda dy: layer.adds(-dy * x, dy / layer.w))),
    "x eʷ, eʷ forgotten": (0, lambda layer, x: (x * np.exp(layer.w), lambda dy: layer.adds(dy * x, dy.copy()))),
    "(1 + w) x, w forgotten": (0, lambda layer, x: ((1 + layer.w) * x, lambda dy: layer.adds(dy * x, dy.copy()))),
    "tanh(x) w, dx for w = 0": (
        0,
        lambda layer, x: (np.tanh(x) * layer.w, lambda dy: layer.adds(dy * np.tanh(x), 0 * dy)),
    ),
    "|w| x, taken as w x": (-1, lambda layer, x: (layer.w**2 * x, lambda dy: layer.adds(-2 * dy * x, -dy * layer.w))),
}


@pytest.mark.parametrize("mistake", HIDDEN)
def test_a_mistake_that_a_special_value_hides_is_found(mistake, rng):
    start, forward = HIDDEN[mistake]
    with pytest.raises(sn.LawError, match=r"^Law 6 .* is wrong near the given point: at "):
        check_layer(lambda: Of(forward, start), (5, 3), rng=rng)


def test_rows_that_mix_by_a_weight_of_zero_break_law_5(rng):
    def forward(layer, x):
        mean = x.mean(axis=0)
        return x + layer.w * mean, lambda dy: layer.adds(dy * mean, dy + layer.w * dy.mean(axis=0))

    with pytest.raises(sn.LawError, match=r"^Law 5 "):
        check_layer(lambda: Of(forward, 0), (5, 3), rng=rng)


def root(layer, x):
    """y = √w x, for w ≥ 0."""
    y = np.sqrt(layer.w) * x
    return y, lambda dy: layer.adds(dy * x / (2 * np.sqrt(layer.w)), dy * np.sqrt(layer.w))


@pytest.mark.parametrize("start", [1e-6, 1e-3, 4.0])
def test_a_parameter_that_cannot_be_moved_far_is_no_obstacle(start, rng):
    check_layer(lambda: Of(root, start), (5, 3), rng=rng)


def scaled(layer, x, c):
    """y = c w x."""
    return c * layer.w * x, lambda dy: layer.adds(c * dy * x, c * dy * layer.w)


class Features(sn.Layer):
    """y = x B, with a fixed B."""

    def __init__(self, as_x=False):
        self._B, self.as_x = np.eye(3, 2), as_x

    def forward(self, x):
        B = self._B.astype(x.dtype) if self.as_x else self._B
        return x @ B, lambda dy: dy @ B.T


class Mixed(Of):
    """Its state is in float64, whatever w is in."""

    def __init__(self, forward, **how):
        super().__init__(forward, **how)
        self.mean = np.zeros(3)


class Tied(sn.Layer):
    """y = x Wᵀ, with the W of a layer that is not its child."""

    def __init__(self, dense):
        self._dense = dense

    def forward(self, x):
        W = self._dense.W
        return x @ W.T, lambda dy: dy @ W


class Double(sn.Layer):
    """y = 2 x, in float64 alone."""

    def forward(self, x):
        if x.dtype != np.float64:
            raise TypeError(f"Double expects float64, got {x.dtype}.")
        return 2 * x, lambda dy: 2 * dy


OTHER_TYPES = {  # and the array that has another type than x
    "np.float64": (lambda: Of(lambda layer, x: scaled(layer, x, np.sqrt(2.0))), "y"),
    "an array of one number": (lambda: Of(lambda layer, x: scaled(layer, x, np.array(2.0))), "y"),
    "fixed weights": (Features, "y"),
    "zeros for y": (lambda: Of(lambda layer, x: (x + np.zeros(3), lambda dy: dy.copy())), "y"),
    "dx alone": (lambda: Of(lambda layer, x: (x.copy(), lambda dy: dy * np.ones(3))), "dx"),
    "a state of another type than w": (lambda: Mixed(batch_norm(right_dx), dtype=np.float32), "y"),
    "float32 for all": (lambda: Of(lambda layer, x: (np.float32(x), lambda dy: dy.copy())), "y"),
}


@pytest.mark.parametrize("mistake", OTHER_TYPES)
def test_another_type_than_that_of_x_breaks_law_7(mistake, rng):
    make, array = OTHER_TYPES[mistake]
    with pytest.raises(sn.LawError, match=rf"^Law 7 .*: {array} is float.. where the inputs are float..: ") as caught:
        check_layer(make, (5, 3), rng=rng)
    assert caught.value.found["array"] == array


RIGHT_TYPES = {
    "all in float64, the state too": lambda: Mixed(batch_norm(right_dx)),
    "all in float32": lambda: Of(batch_norm(right_dx), dtype=np.float32),
    "Python numbers": lambda: Of(lambda layer, x: scaled(layer, x, 2**0.5)),
    "fixed weights in the type of x": lambda: Features(as_x=True),
    "tied weights": lambda: Tied(sn.Dense(2, 3, rng=np.random.default_rng(0))),
    "tied weights in float64": lambda: Tied(sn.Dense(2, 3, rng=np.random.default_rng(0), dtype=np.float64)),
    "float64 alone": Double,
}


@pytest.mark.parametrize("name", RIGHT_TYPES)
def test_a_layer_in_the_type_of_x_passes(name, rng):
    check_layer(RIGHT_TYPES[name], (5, 3), rng=rng, independent_rows=False)


def test_a_gradient_that_is_added_elsewhere_breaks_law_4(rng):
    """Parameters would still hold the first array."""

    class Elsewhere(Scale):
        def forward(self, x):
            def backward(dy):
                self.dw = self.dw + (dy * x).sum(axis=0)
                return dy * self.w

            return x * self.w, backward

    with pytest.raises(sn.LawError, match=r"^Law 4 .*: dw\[0\] is 0, not .*: write dW \+= … in place of dW = …"):
        check_layer(lambda: Elsewhere(3), (4, 3), rng=rng)


def test_a_parameter_may_be_a_numpy_number(rng):
    class Gain(sn.Layer):
        parameter_names = ("g",)

        def __init__(self):
            self.g, self.dg = np.float64(1), np.float64(0)

        def forward(self, x):
            def backward(dy):
                self.dg += (dy * x).sum()
                return self.g * dy

            return self.g * x, backward

    check_layer(Gain, (4, 3), rng=rng)


# ---- losses


def absolute(y, target):
    """The mean over the batch of Σ |y − target|."""
    return np.abs(y - target).sum().item() / len(y), np.sign(y - target) / len(y)


def into_the_target(y, target):
    target -= y
    return absolute(y, target + y)


BROKEN_LOSSES = {
    "Law 1": into_the_target,
    "Law 5": lambda y, target: (np.abs(y - target).sum().item(), np.sign(y - target)),
    "Law 6": lambda y, target: (absolute(y, target)[0], 2 * absolute(y, target)[1]),
}


@pytest.mark.parametrize("loss", [sn.mse, sn.bce_with_logits, absolute])
def test_a_right_loss_passes(loss, rng):
    check_loss(loss, (4, 3), target=lambda rng, shape: rng.random(shape), rng=rng)
    check_loss(loss, (4, 3), target=rng.random((4, 3)), rng=rng)


def test_a_loss_with_labels_passes(rng):
    check_loss(sn.softmax_cross_entropy, (4, 3), target=np.array([0, 2, 1, 1]), rng=rng)


@pytest.mark.parametrize("law", BROKEN_LOSSES)
def test_the_law_that_a_loss_breaks_is_named(law, rng):
    with pytest.raises(sn.LawError, match=law):
        check_loss(BROKEN_LOSSES[law], (4, 3), target=rng.random((4, 3)), rng=rng)


def test_a_loss_whose_derivative_alone_is_not_divided_by_the_batch_breaks_law_5(rng):
    def undivided(y, target):
        return absolute(y, target)[0], np.sign(y - target)

    with pytest.raises(sn.LawError, match=r"Law 5 .* 2 times: divide the derivative by the batch size"):
        check_loss(undivided, (4, 3), target=rng.random((4, 3)), rng=rng)


@pytest.mark.parametrize("ones", [np.ones(3), np.float64(1)])
def test_a_loss_whose_derivative_is_in_float64_for_float32_breaks_law_7(ones, rng):
    def loss(y, target):
        value, dy = absolute(y, target)
        return value, dy * ones

    with pytest.raises(sn.LawError, match=r"^Law 7 .*: dy is float64 where the inputs are float32: "):
        check_loss(loss, (4, 3), target=rng.random((4, 3)), rng=rng)


def huber_without_its_bound(y, target):
    d = y - target
    return np.where(np.abs(d) < 5, d**2 / 2, 5 * np.abs(d) - 12.5).sum() / len(y), d / len(y)


def test_a_bound_that_only_large_errors_reach_is_checked(rng):
    with pytest.raises(sn.LawError, match="Law 6"):
        check_loss(huber_without_its_bound, (4, 3), target=rng.random((4, 3)), rng=rng)


def into_the_labels(logits, labels):
    labels[labels < 0] = 0
    return sn.softmax_cross_entropy(logits, labels)


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        (lambda y, target: sn.bce_with_logits(y, np.clip(target, 0, 1, out=target)), np.full((4, 3), 0.5)),
        (into_the_labels, np.array([0, 2, 1, 1])),
    ],
)
def test_a_loss_that_writes_into_the_target_what_it_holds_breaks_law_1(loss, target, rng):
    with pytest.raises(sn.LawError, match=r"Law 1 .*: its forward pass writes into .*: compute a new array") as caught:
        check_loss(loss, (4, 3), target=target, rng=rng)
    assert caught.value.found["array"] in ("target", "labels")


def test_an_error_that_has_nothing_to_do_with_writing_comes_as_it_is(rng):
    class Late(sn.Layer):
        """Refuses its first batch."""

        def __init__(self):
            self.called = 0

        def forward(self, x):
            self.called += 1
            if self.called == 1:
                raise RuntimeError("not ready")
            return 2 * x, lambda dy: 2 * dy

    with pytest.raises(RuntimeError, match="not ready"):
        check_layer(Late, (4, 3), rng=rng)


# ---- the door, and the strategies


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((sn.ReLU, 3), "shape of a batch"),
        ((sn.ReLU, (1, 3)), "at least 2 rows"),
        ((lambda: 3, (2, 3)), r"make\(\) to be a layer"),
        ((3, (2, 3)), "make to be a function"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(arguments, said, rng):
    with pytest.raises((TypeError, ValueError), match=said):
        check_layer(*arguments, rng=rng)


def test_a_dtype_that_is_no_float_type_is_refused_in_one_sentence(rng):
    with pytest.raises(TypeError, match=r"check_layer expects a floating-point dtype .* got 'abc'"):
        check_layer(sn.ReLU, (2, 3), rng=rng, dtype="abc")


@pytest.mark.parametrize(("dx", "came"), [(1, "1"), (0.5, "0.5"), ([[0.0] * 3] * 4, "list")])
def test_a_gradient_that_is_no_array_is_refused_in_one_sentence(dx, came, rng):
    class Wrong(sn.Layer):
        def forward(self, x):
            return x.copy(), lambda dy: dx

    def loss(y, target):
        return absolute(y, target)[0], dx

    said = rf"what the backward pass of .* returns to be an array or a tuple of arrays, got {came}\.$"
    with pytest.raises(TypeError, match=said):
        check_layer(Wrong, (4, 3), rng=rng)
    with pytest.raises(TypeError, match=said):
        check_loss(loss, (4, 3), target=rng.random((4, 3)), rng=rng)


def test_testing_is_imported_only_when_asked_for():
    code = (
        "import sys, scratchnet as sn; assert 'scratchnet.testing' not in sys.modules; sn.testing.check_layer\n"
        "assert 'hypothesis' not in sys.modules; sn.testing.strategies.arrays; assert 'hypothesis' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@given(x=arrays(large=True), y=arrays((2, 3, 1), 0, 1))
def test_the_arrays_lie_in_their_range_and_have_their_shape(x, y):
    assert x.ndim == 2
    assert y.shape == (2, 3, 1)
    assert ((y >= 0) & (y <= 1)).all()
    assert (np.abs(x) <= max(LARGE)).all()
    assert max(EDGES) <= 3


def test_the_messages_of_chapter_18_are_those_that_come(rng):
    class Swish(sn.Layer):
        def forward(self, x):
            def backward(dy):
                dy *= x
                return dy

            return x * 2, backward

    said = (Path(__file__).parents[1] / "docs" / "18-your-own.md").read_text("utf-8")
    with pytest.raises(sn.LawError) as caught:
        check_layer(Swish, (5, 3), rng=rng)
    assert f"LawError: {caught.value}\n" in said
