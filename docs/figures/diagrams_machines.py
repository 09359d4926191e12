"""Diagram of chapter 20: a batch that processes share."""

from sketch import BLUE, GRADIENT, PALE, PALE_BLUE, PALE_RED, Sketch


def shared_batch() -> Sketch:
    """Chapter 20: each process computes its rows, and one allreduce adds the weighted gradients."""
    s = Sketch(
        "A batch shared by three processes",
        "The N rows of a batch are cut into three shares. Each process computes the loss of its rows with the same "
        "parameters, and its gradient. The gradients, each weighted by its share of the rows, are added by one "
        "allreduce, and every process takes the same step.",
        316,
    )
    ys = (74, 154, 234)
    s.text(60, 20, "batch", bold=True)
    s.box(60, 154, 70, 230, fill=PALE)
    for y in (114, 194):
        s.line((25, y), (95, y))
    for r, y in enumerate(ys):
        s.text(60, y, f"$N_{r}$ rows")
        s.arrow((95, y), (148, y))
        s.box(215, y, 130, 50, f"process {r}, $θ$", fill=PALE_BLUE, color=BLUE)
        s.arrow((280, y), (356, y), color=GRADIENT)
        s.text(318, y - 16, f"$dθ_{r}$", GRADIENT)
    s.box(415, 154, 116, 230, fill=PALE_RED, color=GRADIENT)
    s.text(415, 132, "allreduce", GRADIENT)
    s.text(415, 172, "$Σ_r (N_r/N) dθ_r$", GRADIENT)
    for y in ys:
        s.arrow((473, y), (546, y), color=GRADIENT)
        s.text(510, y - 16, "$dθ$", GRADIENT)
        s.box(606, y, 116, 50, "same step", fill=PALE)
    s.small(340, 294, "once a step; the loss, its terms and a wish to stop are added up in the same way")
    return s


ALL = (shared_batch,)
