"""A published convolutional denoiser of MNIST, also at noise that it never saw: under three minutes on two cores.

It trains for 4 of its 20 epochs (--epochs 20 trains for all, in a quarter of an hour), on one --corruption at one
strength. It is compared with two dense networks: one has as many parameters, the other takes as many products an image.
To save time they train for half as many epochs, by default 2; 2 more would lower their errors at that strength by less
than 5 %. Then all denoise images that are corrupted less and more than in training. With --corruption downsample the
task is super-resolution, that of RAISR (Romano, Isidoro & Milanfar 2016): images of 7 × 7 pixels are enlarged, and
compared with bicubic interpolation.

The published loss is a mean over pixels, and `sn.mse` is a sum, so the loss is 784 times as large. ε is multiplied by
784 too, which leaves Adam's steps the same. The images are shuffled; in the published training they were not.
"""

from functools import partial

import numpy as np

import scratchnet as sn
from lib.codec import psnr
from lib.common import Line, Run, changed_options, options, run, watched
from lib.corruptions import KINDS
from lib.denoising_figures import SEEN, by_level, conclusion, draw, draw_enlarged
from lib.denoising_networks import CONV, DENSE, build
from lib.enlarging import bicubic
from lib.measures import in_parts, squared_error
from lib.results import PIXEL, Number, epoch_line, reached

QUICK_TRAIN = 500
PUBLISHED_EPOCHS = 20
PUBLISHED = 0.0261  # PIXEL, the mean over the 20th epoch's training images; printed as 0.5222, times the batch of 20
SPREAD = 0.0008  # PIXEL, how far one seed's result may lie from another's
PYTORCH = (0.0369, 0.0333, 0.0321, 0.0299)  # PIXEL, on test images after 1, 2, … epochs of the same network in PyTorch


def main() -> None:
    """Train the three networks, test them at every level, draw, and print what was found."""
    parser = options("denoising_mnist", __doc__, epochs=4, batch_size=20, quick_train=QUICK_TRAIN)
    parser.add_argument("--corruption", choices=list(KINDS), default="gaussian", help="what spoils the images")
    arguments = parser.parse_args()
    demo, kind = Run("denoising_mnist", arguments, QUICK_TRAIN), KINDS[arguments.corruption]
    x, _ = demo.images("train")
    x_test, labels = demo.images("test")
    rng, rng_of_test = np.random.default_rng(arguments.seed).spawn(2)
    seen = {level: kind.corrupt(level)(x_test, rng_of_test) for level in kind.levels}
    changed = changed_options(parser, arguments, "data", "quick", "batch_size", "corruption")
    pytorch = () if changed else PYTORCH
    print(f"{len(x):,} images to train on, {len(x_test):,} to test.\n")

    history, models = sn.History(unit="squared error/image"), {}
    for name in (CONV, *DENSE):
        models[name] = model = build(name, kind.corrupt(kind.trained), rng)
        epochs = max(arguments.epochs // 2, 1) if name in DENSE else arguments.epochs
        half = "; trains for half as many epochs, to save time" if epochs < arguments.epochs else ""
        print(f"{name}: {len(model.parameters):,} parameters{half}")
        course = sn.fit(
            model,
            x,
            optimizer=sn.Adam(1e-3, epsilon=784e-8),
            epochs=epochs,
            batch_size=arguments.batch_size,
            rng=rng,
            validation=x_test,
            **watched(Line(partial(epoch_line, epochs=epochs, x=x, pytorch=pytorch if name == CONV else ()))),
            checkpoint=demo.checkpoint(name),
        )
        history.epochs += [{"network": name, **record} for record in course.epochs]
        if course.interrupted:
            history.interrupted = True
            print(f"Interrupted at the {name} network: what follows is what was reached.")
            break
    sn.save(demo.path("model.npz"), models[CONV])

    errors, mended = {SEEN: [squared_error(images, x_test) for images in seen.values()]}, {}
    for name, model in models.items():
        mended[name] = {level: in_parts(model.reconstruct, images) for level, images in seen.items()}
        errors[name] = [squared_error(images, x_test) for images in mended[name].values()]
    results = {
        f"{name} at {level:g}": Number(error, PIXEL, digits=5)
        for name in errors
        for level, error in zip(kind.levels, errors[name], strict=True)
    }
    losses = [record["loss"] / x.shape[1] for record in history.epochs if record["network"] == CONV]
    published = PUBLISHED if arguments.corruption == "gaussian" else None
    training = Number(losses[-1] if losses else float("inf"), PIXEL, digits=5, published=published)
    if losses:
        results["convolutional, training"] = training
    said = conclusion(kind, errors)
    print(f"\nSquared error/pixel of test images, by the {kind.level}. {said}\n{by_level(kind, errors)}\n")
    draw(demo, kind, x_test, labels, seen, mended, errors, history, pytorch)
    if arguments.corruption == "downsample":
        results |= enlarge(demo, x_test, labels, seen[kind.trained], mended[CONV][kind.trained])
    if losses and published:
        print(f"The convolutional network in training, last epoch: {losses[-1]:.5f} {PIXEL}; published {published}.")
    changed += ["interrupted"] * history.interrupted
    print(reached(training, SPREAD, changed, epochs=arguments.epochs, published=PUBLISHED_EPOCHS))
    demo.finish(results, history)


def enlarge(demo: Run, x_test, labels, seen: np.ndarray, mended: np.ndarray) -> dict[str, Number]:
    """How well the network enlarges blocks of 4 × 4 equal pixels, beside bicubic interpolation."""
    enlarged = {"bicubic": bicubic(seen, 4), "network": mended}
    found = {name: psnr(squared_error(images, x_test)) for name, images in enlarged.items()}
    draw_enlarged(demo, x_test, labels, seen, enlarged, found)
    ahead = found["network"] - found["bicubic"]
    print(f"Enlarging 7 × 7 to 28 × 28 pixels, the network is {ahead:+.1f} dB from bicubic interpolation.")
    return {f"PSNR, {name}": Number(value, "dB") for name, value in found.items()}


if __name__ == "__main__":
    run(main)
