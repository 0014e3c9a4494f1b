"""Images of the eleven abdominal categories, study by study, in the published proportions."""

from bisect import bisect_right
from collections.abc import Callable
from functools import cache

import numpy as np

from engine.phantoms.abdominal_views import CATEGORIES
from engine.phantoms.canvas import Canvas, draw_warp
from engine.phantoms.echoes import display, envelope, spacing_mm
from engine.phantoms.organs import USUAL_WALL_MM, Scene, abdominal_wall
from engine.phantoms.person import draw_person
from engine.phantoms.scanner import Scanner
from engine.phantoms.series import Frame, Phantoms, gather, places
from engine.published import cheng2017

IMAGES_PER_STUDY = 30
"""5,518 images of 185 studies in the paper."""
_KIND = 2  # of the streams of random numbers
_PATIENT, _IMAGE = 0, 1


def abdominal(
    images: int,
    image_size: int,
    seed: int,
    scanner: Scanner,
    patients: int | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> Phantoms:
    """Images of abdomens in studies of `IMAGES_PER_STUDY`, squares of side `image_size` pixels.

    An image depends on (seed, patient, number within the study), the scanner with its stream and the size only, never
    on how many are made. With `patients` the images are spread evenly over so many.
    """

    def frame_of(patient: int, number: int) -> Frame:
        return abdominal_image(patient, number, image_size, seed, scanner)

    return gather(frame_of, places(images, IMAGES_PER_STUDY, patients), image_size, scanner, progress)


@cache
def published_shares() -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The categories, and for each the part of the published images that come before it or are of it."""
    table = cheng2017.classes()
    return tuple(table["category"]), tuple((table["total"].cumsum() / table["total"].sum()).tolist())


def category(patient: int, number: int) -> str:
    """Category of an image of a study: shares near the published ones in every study and nearer over many.

    A Kronecker sequence (multiples of irrational numbers, modulo 1) goes through the shares of Cheng and Malhi 2017
    (10.1007/s10278-016-9929-2; training and test images together).
    """
    names, shares = published_shares()
    place = ((number + 0.5) * 0.6180339887498949 + patient * 0.7548776662466927) % 1
    return names[min(bisect_right(shares, place), len(names) - 1)]


def abdominal_image(
    patient: int, number: int, image_size: int, seed: int, scanner: Scanner, *, label: str | None = None
) -> Frame:
    """One image; its category is the one whose turn it is, or as asked.

    Measures and tissues are drawn once per patient; where the probe stands, how the organs lie and what is seen beside
    them is drawn for each image.
    """
    label = label or category(patient, number)
    key = [seed, _KIND, scanner.stream, patient]
    person = draw_person(np.random.default_rng([*key, _PATIENT]))
    random = np.random.default_rng([*key, _IMAGE, number, tuple(CATEGORIES).index(label)])
    draw, usual_mm = CATEGORIES[label]
    depth_mm = usual_mm + 10.0 * float(random.integers(-1, 3))
    canvas = Canvas(scanner, depth_mm, "soft tissue", draw_warp(random, 3.5))
    scene = Scene(
        canvas=canvas,
        random=random,
        x=random.normal(0, 8),
        z=person.wall_mm - USUAL_WALL_MM,
        degrees=random.normal(0, 6),
        scale=person.scale,
    )
    draw(scene, person)
    abdominal_wall(scene, person.wall_mm)
    tissue = canvas.tissue(random, dict(person.levels_db), person.contact_db)
    echoes = envelope(tissue, random, scanner, depth_mm)
    echoes *= np.float32(10 ** ((person.gain_db + random.normal(0, 1)) / 20))
    return Frame(
        image=display(echoes, scanner, depth_mm, image_size),
        label=label,
        phase=np.nan,
        spacing_mm=spacing_mm(scanner, depth_mm, image_size),
    )
