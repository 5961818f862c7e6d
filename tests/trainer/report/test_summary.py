"""What a physician reads first: what was found, whether it differs from what is published, and what
to do."""

import numpy as np
import pytest

from shared.bundle.manifest import Calibration, Draft, Metric, OperatingPoint, Refusal
from shared.interpretation import Interpretation
from shared.network import Outputs
from trainer.bootstrap import Interval, difference, wilson
from trainer.config.options import Options
from trainer.data.dataset import Split
from trainer.decision.recalibration import MINIMUM
from trainer.evaluation.results import Findings, SetResult, measure
from trainer.report.rendering import fill, render_report
from trainer.report.summary import MANY, Comparison, compare

POINT = OperatingPoint(threshold=0.5, rule="fixed=0.5", low=0.5, high=0.5)


def result_of(found: int, missed: int, right: int, alarms: int, refused: int = 0) -> SetResult:
    """A set with these answers, one image a patient."""
    logits = np.concatenate(
        [np.full(found, 3.0), np.full(missed, -3.0), np.full(right, -3.0), np.full(alarms, 3.0)]
    )
    labels = np.concatenate([np.ones(found + missed), np.zeros(right + alarms)]).astype(np.int64)
    count = len(labels)
    chest = np.where(np.arange(count) < refused, -1.0, 1.0)
    split = Split(
        np.zeros((count, 224, 224), np.uint8),
        labels,
        np.full(count, -1),
        [str(i) for i in range(count)],
        [f"NORMAL/{i}.png" for i in range(count)],
    )
    rule = Interpretation(
        ("pneumonia", "chest_xray"),
        POINT,
        Calibration(),
        refusal=Refusal(minimum=0.0, rule="refuses few"),
    )
    outputs = Outputs(np.stack([logits, chest], axis=1).astype(np.float32))
    return measure("clinic", split, outputs, rule, Options(resamples=60))


def draft(**figures: tuple[float, float, float]) -> Draft:
    return Draft(
        operating_point=POINT,
        metrics={n: Metric(value=v, low=a, high=b) for n, (v, a, b) in figures.items()},
        evaluated_on="test: 600 images of 400 patients" if figures else None,
    )


GOOD = draft(
    recall=(0.95, 0.92, 0.97),
    specificity=(0.9, 0.87, 0.93),
    roc_auc=(0.97, 0.95, 0.98),
    ece=(0.05, 0.03, 0.07),
)


def verdicts(comparisons: dict[str, Comparison]) -> list[str]:
    return [comparison.verdict for comparison in comparisons.values()]


def said(result: SetResult, published: Draft = GOOD) -> str:
    """The top of the report alone."""
    return fill(
        "summary.html.j2",
        shown=result,
        published=published,
        comparisons=compare(result, published),
        minimum=MINIMUM,
        many=MANY,
    )


def test_shares_are_told_of_a_hundred() -> None:
    text = said(result_of(90, 10, 90, 10, refused=4))
    assert "200 labelled X-rays of 200 patients: 100 with pneumonia and 100 normal." in text
    assert "Of 100 pneumonias it finds 90 (95 % interval " in text
    assert "Of 100 normal X-rays it calls 90 (95 % interval " in text
    assert "4 X-rays were refused as no chest X-rays, and 0 flagged as unlike" in text


def test_a_share_is_not_rounded_to_all() -> None:
    assert "finds 99.7 (" in said(result_of(299, 1, 60, 6))
    assert "finds 100 (95 % interval 94 to 100)" in said(result_of(60, 0, 60, 6))


def test_what_is_worse_beyond_chance_is_to_be_recalibrated() -> None:
    worse = result_of(95, 5, 60, 40)
    assert verdicts(compare(worse, GOOD))[:3] == [
        "the same within chance",
        "worse here",
        "worse here",
    ]
    text = said(worse)
    assert "publishes (test: 600 images of 400 patients)" in text
    assert text.index("does not mend the ranking") < text.index("Recalibrate it")
    assert "Nothing here is worse" not in text


def test_what_is_better_is_said_and_needs_nothing() -> None:
    low = draft(recall=(0.7, 0.65, 0.75), ece=(0.3, 0.25, 0.35))
    assert verdicts(compare(result_of(95, 5, 92, 8), low)) == ["better here", "better here"]
    text = said(result_of(95, 5, 92, 8), low)
    assert "Nothing here is worse" in text
    assert "Recalibrate it" not in text


def test_a_few_images_decide_nothing() -> None:
    text = said(result_of(19, 1, 18, 2))
    assert "collect at least 50 X-rays of each class" in text
    assert "Recalibrate it" not in text
    assert "Nothing here is worse" not in text


def test_chance_and_strange_patients_are_not_to_be_served() -> None:
    chance = said(result_of(40, 60, 60, 40))
    strange = said(result_of(90, 10, 90, 10, refused=60))
    assert "Do not use it here: on these" in chance
    assert "Do not use it for such patients" in strange
    for text in (chance, strange):
        assert "trainer recalibrate" not in text
        assert "Recalibrate it" not in text
    assert "trainer recalibrate" in said(result_of(95, 5, 60, 40))


def test_the_report_begins_with_it() -> None:
    result = result_of(90, 10, 90, 10)
    findings = Findings(interpretation=Interpretation(("pneumonia",), POINT), results=[result])
    assert "In short" not in render_report(findings)
    for published, said in ((GOOD, "test: 600 images of 400 patients"), (draft(), "no figures")):
        text = render_report(
            Findings(interpretation=findings.interpretation, results=[result], published=published)
        )
        assert text.index("In short") < text.index("ROC AUC</span>")
        assert said in text
        assert "of 100 X-rays 0 (95 % interval 0 to " in text


def test_difference_of_independent_shares_is_that_of_newcombe() -> None:
    """56 of 70 less 48 of 80: example (a) in table II of the paper, method 10: 0.0524 to 0.3339."""
    found = difference(wilson(56, 70), wilson(48, 80))
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert difference(Interval(0.5, 0.5, 0.5), Interval(0.5, 0.5, 0.5)) == Interval(0, 0, 0)
