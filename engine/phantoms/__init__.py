"""Made B-mode images of the heart's seven views and of eleven abdominal categories, through two scanners each.

`cardiac` and `abdominal` draw a patient, a section and a moment (`heart*`, `cardiac_views`, `organs`,
`abdominal_views`), `canvas` turns the drawing into tissue on a scanner's beams, `echoes` into what the scanner
shows. Simulated: such images show a method, they are no evidence for a claim about patients.
"""

from engine.phantoms.abdominal import abdominal
from engine.phantoms.abdominal_views import CATEGORIES
from engine.phantoms.cardiac import cardiac
from engine.phantoms.cardiac_views import VIEWS
from engine.phantoms.scanner import ABDOMINAL_SCANNERS, CARDIAC_SCANNERS, Scanner
from engine.phantoms.series import Phantoms

PHANTOMS_REVISION = 1
"""Raised when a change of this package changes its images."""

__all__ = [
    "ABDOMINAL_SCANNERS",
    "CARDIAC_SCANNERS",
    "CATEGORIES",
    "PHANTOMS_REVISION",
    "VIEWS",
    "Phantoms",
    "Scanner",
    "abdominal",
    "cardiac",
]
