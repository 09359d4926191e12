"""The bugs, room by room. Each was published, or is one that almost everybody has written once."""

import inspect

from scratchnet import evaluation
from scratchnet.core import gaussian, losses
from scratchnet.core.activations import Sigmoid
from scratchnet.core.dense import Dense
from scratchnet.core.likelihood import Bernoulli, Gaussian
from scratchnet.core.vae import VAE
from scratchnet.gradcheck.subject import Subject
from scratchnet.kernels import compile as compiling
from scratchnet.kernels import formulas, memory
from scratchnet.models.autoencoder import Autoencoder
from scratchnet.training import fit, run, storage
from tests.museum.mutants import Edit, Exhibit

CONSISTENT = "value and derivative agree, on the wrong model"
NOT_A_GRADIENT = "every gradient is right, and something else is wrong"

AT_A_KINK = "what is wrong lies where there is no slope"

ROOMS: dict[str, tuple[Exhibit, ...]] = {
    "The way back through a layer": (
        Exhibit(
            "transpose-by-reshape",
            "W reshaped where Wᵀ was meant",
            "dx = dy Wᵀ needs a matrix of shape (M, D), and `reshape` makes one out of W, with its numbers in the "
            "wrong places. A layer that is one wide, or the first layer of a network, works; deep ones learn slowly, "
            "since the last layer still gets its true gradient.",
            "Classic: the first thing that silenced an error about shapes.",
            (Edit(formulas.matmul_nt, "W.T", "W.reshape(W.shape[::-1])"),),
        ),
        Exhibit(
            "weight-gradient-from-the-output",
            "The weight gradient from y, not from x",
            "As long as the layer is as wide as its input, nothing crashes, and square hidden layers are common.",
            "Classic: layers that cache their activation for a sigmoid and reuse it for dW.",
            (Edit(Dense.forward, "kernels.add_matmul_tn(self.dW, x, dy)", "kernels.add_matmul_tn(self.dW, y, dy)"),),
        ),
        Exhibit(
            "bias-summed-over-everything",
            "Every bias gets the gradient of all biases",
            "`dy.sum()` without an axis is a number, and a number fits into a vector of any length. With one output "
            "unit it is right, so the example from the blog post passes.",
            "Classic: `np.sum(dZ)` without `axis`.",
            (Edit(formulas.add_column_sums, "dy.sum(axis=0)", "dy.sum()"),),
        ),
        Exhibit(
            "bias-averaged",
            "The bias gradient averaged over the batch",
            "The loss has divided by N already, so the biases learn N times slower than the weights; the network "
            "still learns.",
            "[kvfrans/notes #5](https://github.com/kvfrans/notes/issues/5), found by comparing with JAX.",
            (Edit(formulas.add_column_sums, "dy.sum(axis=0)", "dy.mean(axis=0)"),),
        ),
        Exhibit(
            "one-over-n-twice",
            "One over N in the loss and again in the layer",
            "Textbooks write dW = (1/N) xᵀ dy for a dy that has no 1/N in it. With a loss that takes the mean, the "
            "step is N times too short. Adam hides it, since the size of its step does not depend on that of the "
            "gradient.",
            "[SkalskiP/ILearnDeepLearning.py #29](https://github.com/SkalskiP/ILearnDeepLearning.py/issues/29); "
            "[d2l-ai/d2l-en #1000](https://github.com/d2l-ai/d2l-en/pull/1000).",
            (
                Edit(formulas.add_matmul_tn, "x.T @ dy", "x.T @ dy / len(x)"),
                Edit(formulas.add_column_sums, "dy.sum(axis=0)", "dy.sum(axis=0) / len(dy)"),
            ),
        ),
        Exhibit(
            "relu-masked-by-dy",
            "ReLU passes what is positive in dy",
            "The slope of ReLU depends on the sign of x, not of dy: half of the signal goes where it should not, and "
            "half of it is lost. The deconvnet does this on purpose, for pictures of what a network sees; as a "
            "gradient it is wrong.",
            "Classic; a relative: [haifengl/smile #528](https://github.com/haifengl/smile/issues/528).",
            (Edit(formulas.relu_backward, "(y > 0)", "(dy > 0)"),),
        ),
        Exhibit(
            "sigmoid-slope-from-x",
            "The sigmoid's slope from x, not from y",
            "s (1 − s) is the slope if s is the output. Many tutorials call the argument x, and somebody hands in x.",
            "[BoltzmannEntropy/interviews.ai #15](https://github.com/BoltzmannEntropy/interviews.ai/issues/15).",
            (Edit(Sigmoid.forward, "kernels.sigmoid_backward(dy, y)", "kernels.sigmoid_backward(dy, x)"),),
        ),
        Exhibit(
            "sigmoid-that-overflows",
            "A sigmoid as the textbook writes it",
            "1 / (1 + e⁻ˣ) overflows for x below −88 in float32. The value is right, 0, with a warning; a loss in "
            "terms of log y then is infinite.",
            "Classic.",
            (
                Edit(
                    formulas.sigmoid,
                    "    e = np.exp(-_magnitude(x))  # in (0, 1]: nothing overflows\n"
                    "    return np.where(x > 0, 1, e) / (1 + e)",
                    "    return 1 / (1 + np.exp(-x))",
                ),
            ),
            unseen=NOT_A_GRADIENT,
        ),
        Exhibit(
            "stale-cache",
            "The input kept on the layer",
            "`self.x = x` in forward, `self.x` in backward. This works for one forward and one backward at a time. "
            "When a layer stands in two places, or two batches go forward before one goes back, the first backward "
            "pass finds the second input.",
            "The usual design, as in [ML-From-Scratch, "
            "layers.py](https://github.com/eriklindernoren/ML-From-Scratch/blob/"
            "0c1e547ea467cf977f40daed70b1696fbb200126/mlfromscratch/deep_learning/layers.py).",
            (
                Edit(Dense.forward, "        y = kernels.affine", "        self.x = x\n        y = kernels.affine"),
                Edit(
                    Dense.forward, "kernels.add_matmul_tn(self.dW, x, dy)", "kernels.add_matmul_tn(self.dW, self.x, dy)"
                ),
            ),
        ),
        Exhibit(
            "gradients-overwritten",
            "A gradient set where it should be added to",
            "`dW = xᵀ dy` is what the formula says. If a layer is used twice, both uses contribute, and the second "
            "backward pass overwrites the first.",
            "Classic: most small libraries, which never share a layer.",
            (
                Edit(formulas.add_matmul_tn, "dW += ", "dW[...] = "),
                Edit(formulas.add_column_sums, "db += ", "db[...] = "),
            ),
        ),
        Exhibit(
            "relu-in-place",
            "A later layer writes into an earlier one's memory",
            "To save an array, ReLU writes its output over its input. But that is the output of the layer before, "
            "whose backward pass may still need it: a tanh would compute its slope from what ReLU left there.",
            "[thinc, "
            "layers/add.py](https://github.com/explosion/thinc/blob/0703344409780e55a055c03ff590c44d35cc10d0/thinc/"
            "layers/add.py) adds to the first layer's output in place; warned of in [torch/nn "
            "#235](https://github.com/torch/nn/pull/235).",
            (Edit(formulas.relu, "np.maximum(x, 0)", "np.maximum(x, 0, out=x)"),),
        ),
        Exhibit(
            "optimizer-inside-backward",
            "The layer takes its step on the way back",
            "Each layer updates its weights as soon as it has their gradient. Two backward passes through one layer "
            "no longer add up, no gradient can be checked without training, and dx comes from weights that the "
            "forward pass never used.",
            "The design of [ML-From-Scratch, "
            "layers.py](https://github.com/eriklindernoren/ML-From-Scratch/"
            "blob/0c1e547ea467cf977f40daed70b1696fbb200126/mlfromscratch/deep_learning/layers.py), which at least "
            "keeps the old W for dx.",
            (
                Edit(
                    Dense.forward,
                    "            return kernels.matmul_nt(dy, self.W) if need_dx",
                    "            self.W -= 0.01 * self.dW\n            return kernels.matmul_nt(dy, self.W) if need_dx",
                ),
            ),
        ),
        Exhibit(
            "weights-unscaled",
            "Weights that do not shrink with the width",
            "W is drawn from ±1 for any n_in. A sum of 784 such terms has a deviation of 16, and tanh and sigmoid are "
            "saturated before the first step.",
            "Classic.",
            (Edit(Dense.__init__, "1 / np.sqrt(n_in)", "1.0"),),
            unseen=NOT_A_GRADIENT,
        ),
    ),
    "Images": (
        Exhibit(
            "col2im-overwrites",
            "Patches that overwrite each other where they overlap",
            "A pixel lies under several places of the kernel, and their gradients add up; `=` keeps the last of them. "
            "With a stride as long as the kernel nothing overlaps. A test that cuts an image into patches and puts "
            "them together again misleads: `=` returns the image and `+=` does not.",
            "Asked for in [oreilly-japan/deep-learning-from-scratch "
            "#27](https://github.com/oreilly-japan/deep-learning-from-scratch/issues/27), with that test; `+=` was "
            "right.",
            (Edit(formulas.conv2d_transpose, "patches[:, :, i, j] += ", "patches[:, :, i, j] = "),),
        ),
        Exhibit(
            "padding-off-by-one",
            "The border cut off one row too early",
            "The backward pass must cut off the border that the padding added. With one row and one column too few at "
            "the front, every pixel gets its neighbour's gradient. The shape is right and pictures are smooth, so it "
            "trains.",
            "Edge cases of the padding in the gradient: [renmengye/np-conv2d "
            "#2](https://github.com/renmengye/np-conv2d/pull/2).",
            (
                Edit(
                    formulas.conv2d_transpose,
                    "x[:, :, top : top + height, left : left + width]",
                    "x[:, :, max(top - 1, 0) :, max(left - 1, 0) :][:, :, :height, :width]",
                ),
            ),
        ),
        Exhibit(
            "kernel-flipped-on-the-way-back",
            "A kernel turned around where it should not be",
            "Written as a convolution, the backward pass turns the kernel by 180°; written as patches that are added "
            "where they came from, it does not. A symmetric kernel hides the mistake.",
            "Asked about in [ddbourgin/numpy-ml #27](https://github.com/ddbourgin/numpy-ml/issues/27); [pytorch "
            "#61100](https://github.com/pytorch/pytorch/issues/61100).",
            (Edit(formulas.conv2d_transpose, "W[:, :, i, j]", "W[:, :, -1 - i, -1 - j]"),),
        ),
        Exhibit(
            "convolution-as-in-mathematics",
            "A convolution where everybody has a correlation",
            "In mathematics a convolution turns the kernel around, in networks it does not. Since the weights are "
            "learnt, both train equally well, until somebody loads weights that another library has learnt.",
            "Theano's `conv2d` turned kernels, TensorFlow's does not; Keras had `convert_all_kernels_in_model`.",
            (
                Edit(formulas.conv2d, "patches, W, optimize", "patches, W[:, :, ::-1, ::-1], optimize"),
                Edit(formulas.conv2d_transpose, "W[:, :, i, j]", "W[:, :, -1 - i, -1 - j]"),
                Edit(
                    formulas.add_conv2d_weights, "patches, optimize=True)", "patches, optimize=True)[:, :, ::-1, ::-1]"
                ),
            ),
            unseen=CONSISTENT,
        ),
        Exhibit(
            "stride-ignored-on-the-way-back",
            "The stride is in forward and not in backward",
            "In the forward pass the kernel stands at s p; in the backward pass its gradient is added at p. With the "
            "default stride of 1 this is right.",
            "[Kulbear/deep-learning-coursera #34](https://github.com/Kulbear/deep-learning-coursera/pull/34); "
            "[enggen/Deep-Learning-Coursera #7](https://github.com/enggen/Deep-Learning-Coursera/issues/7).",
            (
                Edit(
                    formulas.conv2d_transpose,
                    "_patches(x, W.shape[2:], stride)",
                    "_patches(x, W.shape[2:], (1, 1))[..., : y.shape[2], : y.shape[3]]",
                ),
            ),
        ),
        Exhibit(
            "every-tie-gets-the-gradient",
            "Max-pooling that pays every tie",
            "`x == max` marks the largest number of a window, or all of them. After a ReLU most windows of digits are "
            "zero: there each pixel gets the whole gradient, four times in a window of 2 × 2.",
            "[Theano #5248](https://github.com/Theano/Theano/issues/5248), which names MNIST.",
            (
                Edit(
                    formulas.max_pool_backward,
                    "first == i * kw + j",
                    "of_x[:, :, i, j] == of_x.max(axis=(2, 3))",
                ),
            ),
            unseen=AT_A_KINK,
        ),
    ),
    "Losses": (
        Exhibit(
            "bce-value-and-derivative-disagree",
            "A cross-entropy that is a mean, with the derivative of a sum",
            "The value is divided by N and the derivative is not. Printed losses look right, and the learning rate in "
            "effect grows with the batch.",
            "[neuralnetlib, "
            "losses.py](https://github.com/marcpinet/neuralnetlib/blob/0265ce07600cd7f641d6a076806a419e20c8fb07/"
            "neuralnetlib/losses.py), BinaryCrossentropy.",
            (
                Edit(
                    losses.bce,
                    "    return batch_mean(*kernels.bce(p, target))",
                    "    per_example, dp = kernels.bce(p, target)\n    return per_example.mean().item(), dp",
                ),
            ),
        ),
        Exhibit(
            "sigmoid-twice",
            "Probabilities fed to a loss of logits",
            "The model ends in a sigmoid and the loss applies another. What should reach from 0 to 1 now reaches from "
            "½ to 0.73: no pixel can be black. The loss falls, and then it stops falling.",
            "[NVIDIA-Merlin/models #1175](https://github.com/NVIDIA-Merlin/models/pull/1175); [yudi-mars/daisyRec "
            "#15](https://github.com/yudi-mars/daisyRec/pull/15).",
            (
                Edit(
                    Bernoulli.nll,
                    "        return bce_with_logits(y, x)",
                    "        p = kernels.sigmoid(y)\n"
                    "        value, dp = bce_with_logits(p, x)\n"
                    "        return value, kernels.sigmoid_backward(dp, p)",
                ),
                Edit(Bernoulli.nll_per_image, "bce_with_logits(y, x)", "bce_with_logits(kernels.sigmoid(y), x)"),
            ),
            unseen=CONSISTENT,
        ),
        Exhibit(
            "mean-bce-with-summed-kl",
            "Cross-entropy averaged over pixels beside a KL that is summed",
            "The mean over 784 pixels and the sum over latents make a β-VAE with β = 784: the codes collapse onto the "
            "prior and every image is the mean image.",
            "[pytorch/examples #226](https://github.com/pytorch/examples/pull/226), after which the example learnt.",
            (
                Edit(
                    Bernoulli.nll,
                    "        return bce_with_logits(y, x)",
                    "        value, dy = bce_with_logits(y, x)\n        return value / x.shape[1], dy / x.shape[1]",
                ),
            ),
            unseen=CONSISTENT,
        ),
        Exhibit(
            "mean-mse-with-summed-kl",
            "Squared error averaged over pixels beside a KL that is summed",
            "As a likelihood this is a Gaussian whose variance is D times too large. A pixel then is uncertain by "
            "more than black and white differ, and the model explains all of it as noise.",
            "[orybkin/sigma-vae-tensorflow #2](https://github.com/orybkin/sigma-vae-tensorflow/issues/2).",
            (
                Edit(
                    Gaussian.nll,
                    "squared, dy = mse(y, x)",
                    "squared, dy = (part / x.shape[1] for part in mse(y, x))",
                ),
            ),
            unseen=CONSISTENT,
        ),
        Exhibit(
            "gaussian-without-its-constant",
            "A Gaussian likelihood without its constant",
            "The constant has no gradient, so training is the same to the last bit. But the number is no likelihood: "
            "it cannot be compared between two values of σ, or with anybody else's.",
            "Classic: squared error called a log-likelihood.",
            (Edit(Gaussian._constant, "0.5 * x.shape[1] * np.log(2 * np.pi * self.sigma**2).item()", "0.0"),),
            unseen=CONSISTENT,
        ),
        Exhibit(
            "noisy-target",
            "A denoiser that is asked for the noise",
            "The loss compares the reconstruction with the corrupted image, so the network learns to copy the noise "
            "too, and its loss looks fine.",
            "[pkmital/tensorflow_tutorials #21](https://github.com/pkmital/tensorflow_tutorials/issues/21); "
            "[handson-unsupervised-learning #6](https://github.com/aapatel09/handson-unsupervised-learning/issues/6).",
            (Edit(Autoencoder.loss, "self.reconstruction_loss(y, x)", "self.reconstruction_loss(y, seen)"),),
            unseen=CONSISTENT,
        ),
    ),
    "The divergence": (
        Exhibit(
            "kl-without-half",
            "One half dropped from the KL, value and derivatives",
            "The model is a β-VAE with β = 2: its samples are blurrier, and the number it prints is not the ELBO.",
            "Classic.",
            (
                Edit(
                    formulas.kl_standard_normal,
                    "0.5 * _sum_per_example(mu**2 + variance_less_one - logvar), mu.copy(), 0.5 * variance_less_one",
                    "_sum_per_example(mu**2 + variance_less_one - logvar), 2 * mu, variance_less_one",
                ),
            ),
            unseen=CONSISTENT,
        ),
        Exhibit(
            "kl-derivative-without-half",
            "One half dropped from a derivative alone",
            "∂KL/∂logσ² is ½ (σ² − 1); as a derivative in σ² or in log σ it looks different, so the ½ is easily lost. "
            "The deviations are pulled to 1 twice as hard as the loss says.",
            "Classic.",
            (Edit(formulas.kl_standard_normal, "mu.copy(), 0.5 * variance_less_one", "mu.copy(), variance_less_one"),),
        ),
        Exhibit(
            "log-sigma-for-log-variance",
            "log σ where the log of the variance belongs",
            "σ² + μ² − log σ − ½ looks like twice the KL. Its minimum in σ lies at 1/√2, not at 1, and with the KL's "
            "own constant it is negative there. The codes gather around a prior narrower than the one that samples "
            "are drawn from, so these come out √2 too wide.",
            "A [much copied tutorial](https://github.com/avandekleut/avandekleut.github.io/blob/"
            "b403e6afc425f9c5fcf006e878c7b9d9ea6ed51e/_posts/2020-05-14-vae.md); corrected in "
            "[SupaeroDataScience/deep-learning #6](https://github.com/SupaeroDataScience/deep-learning/pull/6).",
            (
                Edit(
                    formulas.kl_standard_normal,
                    "0.5 * _sum_per_example(mu**2 + variance_less_one - logvar), mu.copy(), 0.5 * variance_less_one",
                    "0.5 * _sum_per_example(mu**2 + variance_less_one - 0.5 * logvar), mu.copy(), "
                    "0.5 * variance_less_one + 0.25",
                ),
            ),
            unseen=CONSISTENT,
        ),
        Exhibit(
            "kl-with-the-wrong-sign",
            "A divergence that is rewarded",
            "The ELBO has a minus before the KL, and the loss is minus the ELBO; one of the two is forgotten. The "
            "loss falls faster than it should, without a floor.",
            "The sign within the KL: [FluxML/model-zoo #147](https://github.com/FluxML/model-zoo/pull/147). Asked "
            "about in [pytorch/examples #824](https://github.com/pytorch/examples/issues/824), where it was right.",
            (
                Edit(VAE.loss, "reconstruction + self.beta * kl", "reconstruction - self.beta * kl"),
                Edit(VAE.loss, "dmu += ", "dmu -= "),
                Edit(VAE.loss, "dlogvar += ", "dlogvar -= "),
            ),
            unseen=CONSISTENT,
        ),
        Exhibit(
            "kl-over-the-nominal-batch",
            "The KL divided by the batch size that was asked for",
            "`KLD /= args.batch_size` is right for every batch but a short last one, whose images count less. A test "
            "set evaluated in one batch of another size has another KL.",
            "[pytorch/examples #290](https://github.com/pytorch/examples/issues/290) quotes the line, which divided "
            "by `batch_size * 784`.",
            (
                Edit(
                    gaussian.kl_standard_normal,
                    "    return batch_mean(*kernels.kl_standard_normal(mu, logvar))",
                    "    per_example, dmu, dlogvar = kernels.kl_standard_normal(mu, logvar)\n"
                    "    return (per_example.sum() / 128).item(), dmu / 128, dlogvar / 128",
                ),
            ),
            unseen=CONSISTENT,
        ),
        Exhibit(
            "kl-averaged-over-latents",
            "The KL averaged over the latent dimensions",
            "`mean` over the last axis instead of `sum`: a β of 1/L. Reconstructions get sharper, samples get worse, "
            "and the number is not the ELBO.",
            "[maxhodak/keras-molecules #59](https://github.com/maxhodak/keras-molecules/issues/59); "
            "[mkusner/grammarVAE #2](https://github.com/mkusner/grammarVAE/issues/2).",
            (
                Edit(
                    gaussian.kl_standard_normal,
                    "    return batch_mean(*kernels.kl_standard_normal(mu, logvar))",
                    "    parts = kernels.kl_standard_normal(mu, logvar)\n"
                    "    return batch_mean(*(part / mu.shape[1] for part in parts))",
                ),
            ),
            unseen=CONSISTENT,
        ),
        Exhibit(
            "one-path-lost",
            "The gradient of one path overwrites the other's",
            "μ reaches the loss along two paths, through the sample and through the KL, and their gradients add. With "
            "`=` for `+=` only the KL's gradient reaches μ, and every mean goes to 0.",
            "Classic.",
            (Edit(VAE.loss, "dmu += self.beta * dmu_of_kl", "dmu = self.beta * dmu_of_kl"),),
        ),
    ),
    "The sample": (
        Exhibit(
            "exp-logvar-for-sigma",
            "e^logvar taken for σ",
            "The sampler reads logvar as log σ and the KL reads it as log σ²: what the KL calls a deviation of 2 the "
            "decoder sees as 4. It trains, and its samples are off.",
            "[numpy-ml, "
            "vae.py](https://github.com/ddbourgin/numpy-ml/blob/4aacd9203db19ee97fc10a53847f2ea8273133e3/numpy_ml/"
            "neural_nets/models/vae.py), forward and backward; the Keras example before [keras "
            "#3220](https://github.com/keras-team/keras/pull/3220).",
            (
                Edit(formulas.sample_gaussian, "np.exp(0.5 * logvar)", "np.exp(logvar)"),
                Edit(formulas.sample_gaussian_backward, "0.5 * dz * sigma * eps", "dz * sigma * eps"),
            ),
            unseen=CONSISTENT,
        ),
        Exhibit(
            "noise-drawn-twice",
            "Fresh noise on the way back",
            "z was made with one ε, and the gradient of logσ² is taken with another. The two are independent, so on "
            "average σ learns from the KL alone.",
            "Classic: noise drawn inside the function.",
            (
                Edit(
                    gaussian.sample_gaussian,
                    "kernels.sample_gaussian_backward(dz, sigma, eps)",
                    "kernels.sample_gaussian_backward(dz, sigma, noise_like(mu, np.random.default_rng()))",
                ),
            ),
        ),
        Exhibit(
            "mean-into-the-decoder",
            "The decoder gets μ, not z",
            "The sample is drawn and not used: an autoencoder with a penalty. Reconstructions are excellent, and "
            "samples from the prior are noise.",
            "[neuralnetlib, "
            "models.py](https://github.com/marcpinet/neuralnetlib/blob/019cfef57d7951cf7cddfc34b665e805e05840d7/"
            "neuralnetlib/models.py), where the decoder is given the encoder's whole output.",
            (
                Edit(VAE.loss, "self.decoder.forward(z)", "self.decoder.forward(mu)"),
                Edit(VAE.loss, "dmu, dlogvar = sample_backward(dz)", "dmu, dlogvar = dz.copy(), np.zeros_like(dz)"),
            ),
            unseen=CONSISTENT,
        ),
        Exhibit(
            "uniform-noise",
            "rand for randn",
            "ε is uniform in [0, 1) instead of normal: always positive, mean ½, deviation 0.29. The encoder learns to "
            "subtract the mean. Draws from the prior then are more than three times as wide as the noise that the "
            "decoder has seen.",
            "[zhuangdizhu/FedGen #10](https://github.com/zhuangdizhu/FedGen/issues/10); "
            "[dferendo/RecommendationSystem #3](https://github.com/dferendo/RecommendationSystem/issues/3).",
            (Edit(gaussian.noise_like, "rng.standard_normal(mu.shape)", "rng.random(mu.shape)"),),
            unseen=NOT_A_GRADIENT,
        ),
        Exhibit(
            "sample-written-over-the-mean",
            "The sample added into μ",
            "`mu += sigma * eps` saves an array. The KL was taken before, so loss and gradient are right, unless "
            "somebody reads μ afterwards or the encoder ends in a layer whose backward pass needs its output.",
            "Classic.",
            (
                Edit(
                    formulas.sample_gaussian,
                    "return mu + sigma * eps, sigma",
                    "mu += sigma * eps\n    return mu, sigma",
                ),
            ),
        ),
        Exhibit(
            "softplus-for-sigmoid",
            "Images drawn through a softplus",
            "log(1 + e^y) is a term of the Bernoulli likelihood, and the sigmoid is its slope. Taken for a "
            "probability, it exceeds 1 for every bright pixel. Only the pictures are wrong, not the loss.",
            "[jax, examples/mnist_vae.py](https://github.com/jax-ml/jax/blob/062caa4ff5051383acc987e1e4a7f40cad35b2dc/"
            "examples/mnist_vae.py), `image_sample`.",
            (Edit(Bernoulli.images, "kernels.sigmoid(y)", "np.logaddexp(0, y)"),),
            unseen=NOT_A_GRADIENT,
        ),
    ),
    "Optimizers and training": (
        Exhibit(
            "adam-without-bias-correction",
            "Adam without its bias correction",
            "m and v start at zero and are too small at first, v more so: the first step is (1 − β₁)/√(1 − β₂) = 3.2 "
            "times too long, and the next ones are longer. A warm-up hides it.",
            "[google-research/bert, "
            "optimization.py](https://github.com/google-research/bert/blob/master/optimization.py); [ml-explore/mlx "
            "#1640](https://github.com/ml-explore/mlx/pull/1640).",
            (
                Edit(
                    formulas.adam_step,
                    "learning_rate / (1 - beta1**t) * m[i] / (np.sqrt(v[i]) / np.sqrt(1 - beta2**t) + epsilon)",
                    "learning_rate * m[i] / (np.sqrt(v[i]) + epsilon)",
                ),
            ),
            unseen=NOT_A_GRADIENT,
        ),
        Exhibit(
            "epsilon-inside-the-root",
            "Adam's ε inside the root",
            "√(v + ε) with ε = 10⁻⁸ is at least 10⁻⁴, ten thousand times the ε of the paper. Parameters whose "
            "gradients are smaller than that stop learning.",
            "[CyberZHG/keras-radam #29](https://github.com/CyberZHG/keras-radam/issues/29).",
            (
                Edit(
                    formulas.adam_step,
                    "(np.sqrt(v[i]) / np.sqrt(1 - beta2**t) + epsilon)",
                    "np.sqrt(v[i] / (1 - beta2**t) + epsilon)",
                ),
            ),
            unseen=NOT_A_GRADIENT,
        ),
        Exhibit(
            "one-less-beta-in-float32",
            "1 − β after a cast to float32",
            "float32 rounds 0.999 by 10⁻⁸. That is little beside 0.999, but 1 − β₂ inherits it, and beside 0.001 it "
            "is a thousand times as much; at β₂ = 0.99999 the difference is off by 1 part in 700. The bias correction "
            "1 − β₂ᵗ, computed in double precision, then belongs to another β₂ than the running mean.",
            "Here, in an early compiled loop, where the law that all engines agree sees it. With bfloat16, where "
            "0.999 becomes 0.996: [tenstorrent/tt-metal "
            "#55935](https://github.com/tenstorrent/tt-metal/issues/55935).",
            (
                Edit(formulas.adam_step, "(1 - beta1) * (g - m[i])", "(1 - theta.dtype.type(beta1)) * (g - m[i])"),
                Edit(
                    formulas.adam_step,
                    "(1 - beta2) * g * g - (1 - beta2) * v[i]",
                    "(1 - theta.dtype.type(beta2)) * g * g - (1 - theta.dtype.type(beta2)) * v[i]",
                ),
            ),
            unseen=NOT_A_GRADIENT,
        ),
        Exhibit(
            "momentum-as-a-mean",
            "Momentum as a running mean",
            "v ← μ v + (1 − μ) dθ averages the gradients, so its steps are 1 − μ times as long, and the same learning "
            "rate means another thing: at μ = 0.9 training is ten times as slow. In a parabola of curvature a the "
            "limit is no longer 2 (1 + μ) / a, but that divided by 1 − μ.",
            "A default of [torch/optim #163](https://github.com/torch/optim/issues/163); "
            "[HIPS/autograd #289](https://github.com/HIPS/autograd/issues/289); changed in "
            "[ml-explore/mlx #87](https://github.com/ml-explore/mlx/pull/87).",
            (Edit(formulas.sgd_step, "velocity += dtheta", "velocity += (1 - momentum) * dtheta"),),
            unseen=NOT_A_GRADIENT,
        ),
        Exhibit(
            "weight-decay-with-the-wrong-sign",
            "Weights that grow instead of decay",
            "The penalty's gradient is subtracted, and the step subtracts once more. With the usual 10⁻⁴ the growth "
            "is slow enough to be taken for learning.",
            "[chainer #261](https://github.com/chainer/chainer/issues/261); [andersbll/deeppy "
            "#17](https://github.com/andersbll/deeppy/issues/17).",
            (Edit(formulas.adam_step, "dtheta[i] + weight_decay", "dtheta[i] - weight_decay"),),
            unseen=NOT_A_GRADIENT,
        ),
        Exhibit(
            "gradients-never-zeroed",
            "No zero_grad between steps",
            "Each step follows the sum of all gradients so far, a momentum that never fades. Small problems even "
            "converge, in circles.",
            "[huggingface/transformers #340](https://github.com/huggingface/transformers/issues/340); "
            "[wenet-e2e/wekws #73](https://github.com/wenet-e2e/wekws/pull/73).",
            (Edit(inspect.unwrap(fit.fit), "                    parameters.zero_grad()\n", ""),),
            unseen=NOT_A_GRADIENT,
        ),
        Exhibit(
            "last-batch-dropped",
            "The last short batch is never seen",
            "`n // batch_size` batches to an epoch. With a shuffle other images are left out each time; without one, "
            "or in an evaluation, the same images are never seen.",
            "[ml-explore/mlx-examples #843](https://github.com/ml-explore/mlx-examples/issues/843).",
            (
                Edit(run.batches, "range(0, len(order), ", "range(0, len(order) - run.batch_size + 1, "),
                Edit(inspect.unwrap(fit.fit), "if run.position.examples == run.examples:", "if not run.ending:"),
            ),
            unseen=NOT_A_GRADIENT,
        ),
        Exhibit(
            "statistics-learn-while-validating",
            "Statistics that learn while validating",
            "A layer with running statistics, such as batch normalisation, updates them in training mode, and nobody "
            "switches that off for the validation images. They leak into the model, and the validation loss comes out "
            "better than it is.",
            "[princeton-vl/pytorch_stacked_hourglass #44]"
            "(https://github.com/princeton-vl/pytorch_stacked_hourglass/issues/44), in training mode for both.",
            (Edit(inspect.unwrap(run.Run.learning), "self._set_training(training)", "self._set_training(True)"),),
            unseen=NOT_A_GRADIENT,
        ),
    ),
    "Evaluation": (
        Exhibit(
            "elbo-at-the-mean",
            "A bound evaluated at z = μ",
            "At test time the noise is switched off, as one does with dropout. The reconstruction gets better by some "
            "nats, 9 on MNIST, and the number is wrongly compared with ELBOs.",
            "[pytorch/examples #419](https://github.com/pytorch/examples/pull/419), corrected by the author of the "
            "VAE.",
            (Edit(evaluation.elbo, "noise_like(mu, rng)", "np.zeros_like(mu)"),),
            unseen=NOT_A_GRADIENT,
        ),
        Exhibit(
            "mean-of-the-logs",
            "The mean of log w for the log of mean w",
            "The importance-weighted bound L_k is the logarithm of a mean. With the two exchanged it is the ELBO, k "
            "times as expensive: a bound that does not improve with k.",
            "[OpenSourceEconomics/respy #288](https://github.com/OpenSourceEconomics/respy/pull/288); suspected in "
            "[arahuja/generative-tf #1](https://github.com/arahuja/generative-tf/issues/1).",
            (
                Edit(evaluation.log_likelihood, "np.full(len(x), -np.inf)", "np.zeros(len(x))"),
                Edit(evaluation.log_likelihood, "np.logaddexp.at(log_sum, n, log_w)", "np.add.at(log_sum, n, log_w)"),
                Edit(evaluation.log_likelihood, "log_sum - np.log(k)", "log_sum / k"),
            ),
            unseen=NOT_A_GRADIENT,
        ),
    ),
    "Checks, files and memory": (
        Exhibit(
            "check-of-dx-alone",
            "A gradient check that looks at dx alone",
            "The check compares dx with the slope in x, forgets the parameters, and still prints that every gradient "
            "agrees. To show this takes a layer with a wrong dW, handed to the check on purpose, or a model's loss, "
            "which has no gradients but those of parameters.",
            "Classic: a check written for activations and losses.",
            (Edit(Subject.held, "in self._slots}", "in ()}"),),
        ),
        Exhibit(
            "file-overwritten-in-place",
            "A file overwritten in place",
            "Opening a file to write empties it. Until the last byte is written, a full disk, a killed process or a "
            "second writer leaves half a file. The cure is to write under another name and to rename the file once it "
            "is whole.",
            "[harvard-edge/cs249r_book #2068](https://github.com/harvard-edge/cs249r_book/pull/2068); "
            "[revbayes #930](https://github.com/revbayes/revbayes/issues/930).",
            (
                Edit(inspect.unwrap(storage.write_whole), 'with aside.open("xb")', 'with target.open("wb")'),
                Edit(inspect.unwrap(storage.write_whole), "        aside.replace(target)\n", ""),
            ),
            unseen=NOT_A_GRADIENT,
        ),
        Exhibit(
            "memory-given-out-while-in-use",
            "Memory given out again while it is in use",
            "To reuse the memory of a freed array one has to know that it is free, for example from a count of "
            "references compared with a number measured at import. If that number is off by one, memory in use counts "
            "as free, and two arrays share it. Planted is the result: memory is offered to the next array before its "
            "owner is gone. Only large arrays are kept, so small examples do not show it.",
            "An early version of this library relied on such a count. With a count that was off: "
            "[emfdavid/insitubatch #21](https://github.com/emfdavid/insitubatch/pull/21).",
            (Edit(memory.empty, "weakref.finalize(owner, _keep, size, block).atexit = False", "_keep(size, block)"),),
            unseen=NOT_A_GRADIENT,
        ),
        Exhibit(
            "cache-without-the-vector-width",
            "Machine code for vectors of another width",
            "Tables are laid out for vectors of 64 bytes or of 32, and machine code is compiled for one of the two. "
            "If its files are named after the function alone, two machines that share a folder overwrite each "
            "other's, or run one's code on tables of the other's width.",
            "An early version of this library. What numba's own cache compares: [numba "
            "#4211](https://github.com/numba/numba/pull/4211).",
            (Edit(compiling.dispatcher, 'f"{name}_{_STAMP}"', "name"),),
            unseen=NOT_A_GRADIENT,
        ),
    ),
}

EXHIBITS = {exhibit.name: exhibit for room in ROOMS.values() for exhibit in room}

PLACEBO = Exhibit(
    "placebo",
    "Placebo",
    "A local variable by another name. A test that fails here would fail for anything.",
    "",
    (
        Edit(Gaussian.nll, "squared, dy = mse(y, x)", "cost, dy = mse(y, x)"),
        Edit(Gaussian.nll, "0.5 * squared", "0.5 * cost"),
    ),
)
