"""The nonlinearities between the layers. Without them a deep network would be one matrix.

Each works elementwise on floats of any shape. Its derivative is written in terms of the output y, which the backward
pass has at hand. An activation of your own can use NumPy directly. Derivations: docs/04-activations-and-losses.md.
"""

from scratchnet import kernels
from scratchnet.arrays import Array, Backward
from scratchnet.checks import check_dy, check_floats
from scratchnet.core.layer import Layer


class ReLU(Layer):
    """y = max(x, 0), with slope 0 at 0.

    Derivation: docs/04-activations-and-losses.md. Nair & Hinton, Rectified Linear Units Improve Restricted Boltzmann
    Machines, 2010.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> y, backward = sn.ReLU().forward(np.array([-2.0, 3.0]))
    >>> y, backward(np.array([10.0, 10.0]))
    (array([0., 3.]), array([ 0., 10.]))
    """

    def forward(self, x: Array) -> tuple[Array, Backward]:
        check_floats(self, "x", x)
        y = kernels.relu(x)  # y = max(x, 0)

        def backward(dy: Array) -> Array:
            check_dy(self, dy, y)
            return kernels.relu_backward(dy, y)  # dx = dy ⊙ [y > 0]

        return y, backward


class Sigmoid(Layer):
    """y = 1 / (1 + e^−x), without overflow for any x.

    Derivation: docs/04-activations-and-losses.md. Rumelhart, Hinton & Williams, Learning representations by
    back-propagating errors, 1986.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> y, backward = sn.Sigmoid().forward(np.array([0.0]))
    >>> y, backward(np.array([1.0]))
    (array([0.5]), array([0.25]))
    """

    def forward(self, x: Array) -> tuple[Array, Backward]:
        check_floats(self, "x", x)
        y = kernels.sigmoid(x)  # y = 1 / (1 + e^−x)

        def backward(dy: Array) -> Array:
            check_dy(self, dy, y)
            return kernels.sigmoid_backward(dy, y)  # dx = dy ⊙ y ⊙ (1 − y)

        return y, backward


class Tanh(Layer):
    """y = tanh x.

    Derivation: docs/04-activations-and-losses.md. LeCun, Bottou, Orr & Müller, Efficient BackProp, 1998, explains why
    it trains better than the sigmoid.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> y, backward = sn.Tanh().forward(np.array([0.0]))
    >>> y, backward(np.array([1.0]))
    (array([0.]), array([1.]))
    """

    def forward(self, x: Array) -> tuple[Array, Backward]:
        check_floats(self, "x", x)
        y = kernels.tanh(x)  # y = tanh x

        def backward(dy: Array) -> Array:
            check_dy(self, dy, y)
            return kernels.tanh_backward(dy, y)  # dx = dy ⊙ (1 − y²)

        return y, backward
