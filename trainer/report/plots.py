"""The figures of the report, each as one SVG text that a template takes as it is."""

import io
import itertools
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from shared.labels import LABELS
from trainer.evaluation.metrics import ECE_BINS, Judged

# Okabe and Ito's palette: told apart by colour-blind readers too.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#777777"
COLOURS = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9")


def learning_curves(histories: Sequence[list[dict[str, float]]]) -> Markup:
    """Loss and accuracy of training over the epochs, a line for each member."""
    figure, axes = _axes(2)
    for axis, name in zip(axes, ("loss", "accuracy"), strict=True):
        for colour, history in zip(itertools.cycle(COLOURS), histories, strict=False):
            epochs = [row["epoch"] for row in history]
            axis.plot(epochs, [row[name] for row in history], color=colour)
        axis.set(xlabel="epoch", ylabel=name)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _svg(figure)


def roc_and_precision_recall(sets: dict[str, Judged]) -> Markup:
    """ROC and precision-recall curves with the operating point as a dot."""
    figure, (roc, pr) = _axes(2)
    for colour, (name, judged) in zip(COLOURS, sets.items(), strict=False):
        thresholds = np.unique(np.concatenate([[0.0, 1.1], judged.probability]))
        sensitivity, specificity, precision = _rates(judged, thresholds)
        roc.step(1 - specificity, sensitivity, color=colour, label=name, where="post")
        pr.plot(sensitivity, precision, color=colour, label=name)
        at = _rates(judged, np.array([judged.point.threshold]))
        roc.plot(1 - at[1], at[0], "o", color=colour)
        pr.plot(at[0], at[2], "o", color=colour)
    roc.plot([0, 1], [0, 1], color=GREY, linestyle=":")
    roc.set(xlabel="1 − specificity", ylabel="sensitivity", title="ROC")
    pr.set(
        xlabel="recall (sensitivity)", ylabel="precision", title="Precision–recall", ylim=(0, 1.02)
    )
    roc.legend(loc="lower right")
    return _svg(figure)


def confusion(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> Markup:
    """A confusion matrix; the shade is the share of the row."""
    counts = np.array(matrix)
    figure, (axis,) = _axes(1, width=4.2, height=3.6)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), part in np.ndenumerate(share):
        text, colour = f"{counts[row, column]}\n{part:.1%}", "white" if part > 0.5 else "black"
        axis.text(column, row, text, ha="center", va="center", color=colour)
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(names)), names, rotation=90, va="center")
    axis.set(xlabel="answer", ylabel="truth")
    axis.grid(visible=False)
    return _svg(figure)


def reliability(sets: dict[str, Judged]) -> Markup:
    """Reliability diagram (Guo et al., ICML 2017): how often a probability is right; below, how
    many images have it."""
    figure, (axis, below) = _axes(2, height=3.4)
    edges = np.linspace(0, 1, ECE_BINS + 1)
    axis.plot([0, 1], [0, 1], color=GREY, linestyle=":")
    for colour, (name, judged) in zip(COLOURS, sets.items(), strict=False):
        bins = np.minimum((judged.probability * ECE_BINS).astype(int), ECE_BINS - 1)
        count = np.bincount(bins, minlength=ECE_BINS)
        filled = count > 0
        mean = np.bincount(bins, judged.probability, ECE_BINS)[filled] / count[filled]
        rate = np.bincount(bins, judged.labels, ECE_BINS)[filled] / count[filled]
        axis.plot(mean, rate, "o-", color=colour, label=name, markersize=4)
        below.hist(judged.probability, edges.tolist(), histtype="step", color=colour, density=True)
    axis.set(xlabel="probability", ylabel="share that is pneumonia", title="Reliability")
    below.set(xlabel="probability", ylabel="density of images", title="How often it is given")
    axis.legend()
    return _svg(figure)


def threshold_sweep(judged: Judged) -> Markup:
    """Sensitivity, specificity and accuracy at every threshold; the uncertain band is shaded."""
    figure, (axis,) = _axes(1, width=7.6, height=3.6)
    point, thresholds = judged.point, np.linspace(0, 1, 401)
    sensitivity, specificity, _ = _rates(judged, thresholds)
    prevalence = float(judged.labels.mean())
    accuracy = prevalence * sensitivity + (1 - prevalence) * specificity
    axis.plot(thresholds, sensitivity, color=RED, label="sensitivity")
    axis.plot(thresholds, specificity, color=BLUE, label="specificity")
    axis.plot(thresholds, accuracy, color=GREEN, label="accuracy")
    axis.axvline(point.threshold, color="black", linestyle="--", label="threshold")
    axis.axvspan(point.low, point.high, color=GREY, alpha=0.15, label="uncertain band")
    lowest = min(float(sensitivity[20:-20].min()), float(specificity[20:-20].min()))
    axis.set(xlabel="threshold", ylim=(max(0.0, lowest - 0.05), 1.01), xlim=(0, 1))
    figure.legend(loc="outside upper center", ncols=5, frameon=False)
    return _svg(figure)


def sweep_rows(judged: Judged) -> list[dict[str, float]]:
    """The sweep as a table: at each threshold the sensitivity, specificity and precision."""
    thresholds = np.unique(np.append(np.arange(0.1, 0.95, 0.1).round(1), judged.point.threshold))
    names = ("threshold", "sensitivity", "specificity", "precision")
    rows = zip(thresholds, *_rates(judged, thresholds), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def probabilities(judged: Judged) -> Markup:
    """Histogram of the probabilities of each class, counts on a log scale."""
    figure, (axis,) = _axes(1, width=7.6, height=2.8)
    edges = np.linspace(0, 1, 41)
    for index, (label, colour) in enumerate(zip(LABELS, (BLUE, RED), strict=True)):
        of_class = judged.probability[judged.labels == index]
        axis.hist(of_class, edges.tolist(), color=colour, alpha=0.55, label=label)
    axis.axvline(judged.point.threshold, color="black", linestyle="--")
    axis.set(xlabel="probability of pneumonia", ylabel="images", yscale="log", xlim=(0, 1))
    axis.legend()
    return _svg(figure)


def _rates(
    judged: Judged, thresholds: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sensitivity, specificity and precision at each threshold (precision 1 without an alarm)."""
    sick = np.sort(judged.probability[judged.labels == 1])
    well = np.sort(judged.probability[judged.labels == 0])
    found = len(sick) - np.searchsorted(sick, thresholds)
    alarms = len(well) - np.searchsorted(well, thresholds)
    precision = np.where(found + alarms > 0, found / np.maximum(found + alarms, 1), 1.0)
    return found / max(len(sick), 1), 1 - alarms / max(len(well), 1), precision


def _axes(count: int, width: float = 9.0, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = [figure.add_subplot(1, count, i + 1) for i in range(count)]
    for axis in axes:
        axis.grid(visible=True, color="#e5e5e5", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> Markup:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)
    # Safe as it is: matplotlib escapes the texts that it draws.
    return Markup(text.getvalue()[text.getvalue().index("<svg") :])
