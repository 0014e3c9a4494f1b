"""Frames of the seven cardiac views: patients, recordings, moments of the beat."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from engine.phantoms.canvas import Canvas, draw_warp
from engine.phantoms.cardiac_views import VIEWS, draw_view, draw_window
from engine.phantoms.echoes import display, envelope, spacing_mm
from engine.phantoms.heart import draw_heart, moment
from engine.phantoms.scanner import Scanner
from engine.phantoms.series import Frame, Phantoms, gather, places

FRAMES_PER_PATIENT = 14
"""Two moments of each view."""
_KIND = 1  # of the streams of random numbers, beside the abdomen's
_PATIENT, _RECORDING, _FRAME = 0, 1, 2
_GOLDEN = 0.6180339887498949


def cardiac(
    images: int,
    image_size: int,
    seed: int,
    scanner: Scanner,
    patients: int | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> Phantoms:
    """Frames of hearts, all seven views of each patient in turn, squares of side `image_size` pixels.

    An image depends on (seed, patient, frame), the scanner with its stream and the size only, never on how many are
    made. Each patient has `FRAMES_PER_PATIENT` frames; with `patients` the images are spread evenly over so many.
    """

    def frame_of(patient: int, frame: int) -> Frame:
        return cardiac_frame(patient, frame, image_size, seed, scanner)

    return gather(frame_of, places(images, FRAMES_PER_PATIENT, patients), image_size, scanner, progress)


def cardiac_frame(
    patient: int,
    frame: int,
    image_size: int,
    seed: int,
    scanner: Scanner,
    *,
    view: str | None = None,
    phase: float | None = None,
) -> Frame:
    """One frame; its view is the one whose turn it is and its phase drawn, or both as asked.

    Patients start with different views. Anatomy is drawn once per patient, position and window once per view, and a
    frame adds its phase, a little motion of probe and breath, and its own speckle.
    """
    view = view or VIEWS[(frame + patient) % len(VIEWS)]
    key = [seed, _KIND, scanner.stream, patient]
    heart = draw_heart(np.random.default_rng([*key, _PATIENT]))
    recording = np.random.default_rng([*key, _RECORDING, VIEWS.index(view)])
    window = draw_window(recording, view)
    drawn = float((recording.random() + frame // len(VIEWS) * _GOLDEN) % 1)
    phase = drawn if phase is None else phase
    random = np.random.default_rng([*key, _FRAME, frame, VIEWS.index(view)])
    moving = replace(
        window,
        x=window.x + random.normal(0, 1),
        z=window.z + random.normal(0, 1),
        degrees=window.degrees + random.normal(0, 1.2),
        breath=random.random(),
    )
    still = np.random.default_rng(window.scatter)
    canvas = Canvas(scanner, window.depth_mm, "hazy lung", draw_warp(still, 1.3))
    draw_view(canvas, view, heart, moment(heart, phase), moving, still)
    tissue = canvas.tissue(still, dict(heart.levels_db), window.contact_db)
    echoes = envelope(tissue, random, scanner, window.depth_mm)
    echoes *= np.float32(10 ** (window.gain_db / 20))
    return Frame(
        image=display(echoes, scanner, window.depth_mm, image_size),
        label=view,
        phase=phase,
        spacing_mm=spacing_mm(scanner, window.depth_mm, image_size),
    )
