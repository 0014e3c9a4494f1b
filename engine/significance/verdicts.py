"""From measured differences to a verdict on a claim, and to the words that say why.

A claim of several differences is upheld where each of them is (no correction: all must hold, Berger 1982), and refuted
where one is (corrected by Bonferroni for their number). A claim of equality is upheld by equivalence, where each 90 %
interval lies within the margin (two one-sided tests at 5 %), and never by a difference that is not significant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["agrees", "disagrees", "cannot tell", "not in this study", "not claimed"]
Kind = Literal["greater", "equal"]
Unit = Literal["Dice", "min"]
MANY = 6
"""Differences up to which each is told; of more, how many go which way, and the lowest and the highest."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What one comparison of a claim came to."""

    place: str
    """`80 %`, or with its data set where there are several."""
    first: str
    second: str
    mean: float
    """Of first minus second."""
    low: float | None
    """Ends of the 95 % interval; None where there is none (see `note`)."""
    high: float | None
    narrow: tuple[float, float] | None
    """The 90 % interval, for equivalence."""
    wide: tuple[float, float] | None
    """The interval at 95 % for all differences of the claim together (Bonferroni), for refutation."""
    folds: int
    images: int | None
    """None where folds are compared, not images."""
    note: str
    """Why there is no interval, or ""."""
    unit: Unit = "Dice"

    @property
    def said(self) -> str:
        """`80 %: contracting minus expanding +0.023 [+0.010, +0.036], 5 folds, 163 images`."""
        digits = 3 if self.unit == "Dice" else 2
        unit = "" if self.unit == "Dice" else " min"
        count = f"{self.folds} fold{'' if self.folds == 1 else 's'}"
        count += "" if self.images is None else f", {self.images:,} images"
        if self.low is None or self.high is None:
            side = "above" if self.mean >= 0 else "below"
            return f"{self.place}: {self.first} {abs(self.mean):.{digits}f}{unit} {side} {self.second}, {count}"
        ends = f"[{self.low:+.{digits}f}, {self.high:+.{digits}f}]"
        return f"{self.place}: {self.first} minus {self.second} {self.mean:+.{digits}f}{unit} {ends}, {count}"

    def upholds(self, kind: Kind, margin: float) -> bool:
        """Whether this difference is shown to be as the claim says."""
        if self.low is None or self.narrow is None:
            return False
        return self.low > 0 if kind == "greater" else -margin <= self.narrow[0] and self.narrow[1] <= margin

    def refutes(self, kind: Kind, margin: float) -> bool:
        """Whether this difference is shown to be against the claim."""
        if self.wide is None:
            return False
        return self.wide[1] < 0 if kind == "greater" else self.wide[0] > margin or self.wide[1] < -margin


def told(differences: Sequence[Difference], kind: Kind, margin: float) -> str:
    """The differences in words: each, or of many the number that go each way, the lowest and the highest."""
    if len(differences) <= MANY:
        return "; ".join(each.said for each in differences)
    ordered = sorted(differences, key=lambda each: each.mean)
    shown = sum(each.upholds(kind, margin) for each in differences)
    against = sum(each.refutes(kind, margin) for each in differences)
    above = sum(each.mean > 0 for each in differences)
    return (
        f"{above} of {len(differences)} differences are above zero; {shown} shown to be as claimed, {against} against; "
        f"lowest {ordered[0].said}; highest {ordered[-1].said}"
    )


def judge(differences: Sequence[Difference], kind: Kind, margin: float, lacking: Sequence[str]) -> tuple[Verdict, str]:
    """The verdict and why; `lacking` names what the claim speaks of and the study does not have."""
    if not differences:
        return "not in this study", "; ".join(lacking)
    against = [each for each in differences if each.refutes(kind, margin)]
    if against:
        names = ", ".join(f"{each.first} and {each.second} at {each.place}" for each in against[:MANY])
        corrected = f", corrected for {len(differences)} differences," if len(differences) > 1 else ""
        which = "is wholly below zero" if kind == "greater" else f"lies wholly outside ±{margin:.3f}"
        return "disagrees", f"the 95 % interval{corrected} {which}: {names}"
    unsure = [each for each in differences if not each.upholds(kind, margin)]
    if not unsure and not lacking:
        if kind == "greater":
            return "agrees", "every 95 % interval is wholly above zero"
        return "agrees", f"every 90 % interval lies within ±{margin:.3f} (equivalence at 5 %)"
    reasons = list(dict.fromkeys(each.note for each in unsure if each.note))
    if vague := [each for each in unsure if not each.note]:
        names = ", ".join(f"{each.first} and {each.second} at {each.place}" for each in vague[:MANY])
        more = f" and {len(vague) - MANY} more" if len(vague) > MANY else ""
        line = "zero" if kind == "greater" else f"±{margin:.3f}"
        reasons.append(f"the interval is not clear of {line}: {names}{more}")
    return "cannot tell", "; ".join([*reasons, *lacking])
