"""The rules by which the decision threshold may be chosen, as an option names them."""

_RULES: dict[str, tuple[float | None, str]] = {
    "sensitivity": (0.97, "the highest threshold with at least this (median of resamples)"),
    "specificity": (0.90, "the lowest threshold with at least this (median of resamples)"),
    "balanced": (None, "most of sensitivity + specificity (Youden, Cancer 1950)"),
    "fixed": (0.5, "this probability"),
}
RULES_HELP = "; ".join(
    f"{name}{'' if value is None else f'={value:g}'}: {text}"
    for name, (value, text) in _RULES.items()
)


def parse_rule(text: str) -> tuple[str, float | None]:
    """Read a rule such as "balanced" or "sensitivity=0.97".

    Raises:
        ValueError: An unknown rule, or a value outside its range; it says what is accepted.
    """
    name, _, value = text.partition("=")
    if name not in _RULES or (value and _RULES[name][0] is None):
        raise ValueError(f"one of the rules: {RULES_HELP}")
    try:
        number = float(value) if value else _RULES[name][0]
    except ValueError:
        raise ValueError(f"a number, as in {name}=0.9") from None
    if number is not None and not 0 < number < 1:
        raise ValueError("a value above 0, below 1")
    return name, number
