"""The list of problems, and that the service raises these and no others."""

import ast

from service.problems import PROBLEMS
from shared.imaging.refusal import RefusalReason
from tests.conftest import ROOT


def test_every_problem_that_is_raised_is_listed_and_the_other_way_round() -> None:
    raised: set[object] = set()
    written: set[object] = set()
    for path in (ROOT / "service").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant):
                written.add(node.value)
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Problem":
                raised |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()
    refusals = {slug for slug, kind in PROBLEMS.items() if kind.reason}
    assert raised <= set(PROBLEMS) <= written | refusals


def test_every_refusal_of_an_image_is_one_problem() -> None:
    reasons = [kind.reason for kind in PROBLEMS.values() if kind.reason]
    assert sorted(reasons) == sorted(RefusalReason)
