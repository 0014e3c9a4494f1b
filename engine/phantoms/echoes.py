"""From a section of a body to a B-mode image: scatterers, beam and pulse, noise, envelope, log, sector.

Everything but the display happens on a polar grid of beams and depths. Point scatterers lie at random in it; the
phase of a scatterer's echo is that of its own depth (complex baseband at the centre frequency). Amplitude comes from
the tissue's echogenicity and from what the way there and back has lost, so that a rib or a stone leaves a shadow and
fluid leaves tissue brighter behind it.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Complex, Float, Int, UInt8
from scipy import fft

from engine.phantoms.scanner import CLUTTER_MM, SPEED_MM_PER_US, Scanner

MARGIN = 8
"""Beams beside the sector on each side: echoes from there reach into it."""
ROWS = 256
"""Depths at which tissue is looked up."""
SKIRT = 6.0
"""Width of the side lobes' skirt by that of the beam."""


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """A section of a body on the polar grid of beams (with margins) and depths."""

    echo_db: Float[np.ndarray, "beam row"]
    """Echogenicity, 0 dB for heart muscle and liver."""
    loss: Float[np.ndarray, "beam row"]
    """Attenuation one way, dB/cm/MHz."""


@dataclass(frozen=True, kw_only=True)
class PolarGrid:
    """What a scanner's beams and depths are, for one depth setting."""

    x_mm: Float[np.ndarray, "beam row"]
    """Place of each beam and row, from the middle of the face."""
    z_mm: Float[np.ndarray, "beam row"]
    row_mm: float
    samples: int
    """Depth samples down to the depth setting, the last perhaps beyond it; `margin` more lie before and behind."""
    margin: int
    sample_mm: float
    beam_spectrum: Float[np.ndarray, "beam padded"]
    """Transfer function of the beam across the beams, for each depth; each of unit energy."""
    pulse_spectrum: Float[np.ndarray, " padded"]
    """Transfer function of the pulse along depth, unit energy."""
    gain: Float[np.ndarray, " padded"]
    """Amplitude gain of compensation and sliders."""
    clutter: Float[np.ndarray, " row"]
    """Power of the haze of reverberations."""


@lru_cache(maxsize=32)
def polar_grid(scanner: Scanner, depth_mm: float) -> PolarGrid:
    """The grid of a scanner set to a depth; kept, as the same few depths come again and again."""
    step = 2 * scanner.half_opening / (scanner.lines - 1)
    beams = scanner.lines + 2 * MARGIN
    angle = (np.arange(beams) - (beams - 1) / 2)[:, None] * step
    row_mm = depth_mm / ROWS
    from_centre = scanner.radius_mm + (np.arange(ROWS)[None, :] + 0.5) * row_mm
    # Half a wavelength: within a sample all phases are alike likely, so that no echo of the sampling itself is left.
    sample_mm = SPEED_MM_PER_US / (2 * scanner.centre_frequency_mhz)
    samples = int(np.ceil(depth_mm / sample_mm))
    margin = int(np.ceil(4 * scanner.pulse_mm / sample_mm))
    padded = fft.next_fast_len(samples + 2 * margin)
    at_mm = np.clip((np.arange(padded) - margin + 0.5) * sample_mm, sample_mm, depth_mm)

    width_mm = np.hypot(scanner.beam_width_mm, scanner.beam_growth * at_mm) / (2 * np.sqrt(2 * np.log(2)))
    # Near a phased array's point the beam is as wide as the sector: all lines see the same.
    width = np.minimum(width_mm / (scanner.radius_mm + at_mm) / step, scanner.lines / 6)
    turns = 2 * np.pi * fft.fftfreq(beams)[:, None]
    spectrum = np.exp(-0.5 * (turns * width) ** 2)
    skirt = 10 ** (scanner.side_lobes_db / 20)
    spectrum += skirt * SKIRT * np.exp(-0.5 * (turns * width * SKIRT) ** 2)
    spectrum /= np.sqrt(np.mean(spectrum**2, axis=0))
    pulse = np.exp(-0.5 * (2 * np.pi * fft.fftfreq(padded, sample_mm) * scanner.pulse_mm) ** 2)
    pulse /= np.sqrt(np.mean(pulse**2))
    sliders = np.interp(at_mm / depth_mm, np.linspace(0, 1, len(scanner.gain_curve_db)), scanner.gain_curve_db)
    gain = 10 ** ((scanner.compensation_db_per_cm * at_mm / 10 + sliders) / 20)
    depth_of_row = (np.arange(ROWS) + 0.5) * row_mm
    return PolarGrid(
        x_mm=(from_centre * np.sin(angle)).astype(np.float32),
        z_mm=(from_centre * np.cos(angle) - scanner.radius_mm).astype(np.float32),
        row_mm=row_mm,
        samples=samples,
        margin=margin,
        sample_mm=sample_mm,
        beam_spectrum=spectrum.astype(np.float32),
        pulse_spectrum=pulse.astype(np.float32),
        gain=gain.astype(np.float32),
        clutter=(10 ** (scanner.clutter_db / 10) * np.exp(-2 * depth_of_row / CLUTTER_MM)).astype(np.float32),
    )


def envelope(
    tissue: Tissue, random: np.random.Generator, scanner: Scanner, depth_mm: float
) -> Float[np.ndarray, "line sample"]:
    """Detected echoes before log compression; 1 is the root mean square of 0 dB tissue at the skin."""
    grid = polar_grid(scanner, depth_mm)
    field = _scatterers(_amplitude(tissue, grid, scanner), random, grid, scanner)
    spectrum = fft.fft(field, axis=0, overwrite_x=True)
    spectrum *= grid.beam_spectrum
    lines = fft.ifft(spectrum, axis=0, overwrite_x=True)[MARGIN : MARGIN + scanner.lines]
    noise = random.standard_normal((2, *lines.shape), dtype=np.float32)
    noise *= np.float32(10 ** (scanner.noise_db / 20) / np.sqrt(2))
    lines.real += noise[0]
    lines.imag += noise[1]
    spectrum = fft.fft(lines, axis=1)
    spectrum *= grid.pulse_spectrum
    inner = slice(grid.margin, grid.margin + grid.samples)
    echoes: Float[np.ndarray, "line sample"] = np.abs(fft.ifft(spectrum, axis=1, overwrite_x=True)[:, inner])
    echoes *= grid.gain[inner]
    return echoes


def _amplitude(tissue: Tissue, grid: PolarGrid, scanner: Scanner) -> Float[np.ndarray, "beam row"]:
    """Amplitude of echoes that come back, before any gain."""
    there_and_back = 2 * scanner.centre_frequency_mhz * grid.row_mm / 10
    lost_db = np.cumsum(tissue.loss, axis=1) * np.float32(there_and_back)
    power = np.exp((tissue.echo_db - lost_db) * np.float32(np.log(10) / 10))
    amplitude: Float[np.ndarray, "beam row"] = np.sqrt(power + grid.clutter)
    return amplitude


def _scatterers(
    amplitude: Float[np.ndarray, "beam row"], random: np.random.Generator, grid: PolarGrid, scanner: Scanner
) -> Complex[np.ndarray, "beam padded"]:
    """Echoes of point scatterers at random depths under each beam, on depth samples; unit power for amplitude 1.

    As many under every beam: per resolution cell of the far end, as cells nearer by hold more beams.
    """
    beams, padded = grid.beam_spectrum.shape
    step = 2 * scanner.half_opening / (scanner.lines - 1)
    far_mm = (grid.samples * grid.sample_mm) + scanner.radius_mm
    cell = np.hypot(scanner.beam_width_mm, scanner.beam_growth * far_mm) / far_mm / step
    cell *= 2 * np.sqrt(2 * np.log(2)) * scanner.pulse_mm / grid.sample_mm
    per_beam = max(1, round(scanner.scatterers_per_cell / cell * padded))
    depth = random.random((beams, per_beam), dtype=np.float32) * np.float32(padded)
    sample = depth.astype(np.int32)
    row_of_sample = np.clip((np.arange(padded) - grid.margin + 0.5) * grid.sample_mm / grid.row_mm, 0, ROWS - 1)
    first = np.arange(beams, dtype=np.int32)[:, None]
    strength = amplitude.ravel()[row_of_sample.astype(np.int32)[sample] + first * ROWS]
    strength *= np.float32(np.sqrt(padded / per_beam))
    place = (sample + first * padded).ravel()
    depth -= sample  # a whole turn to a sample
    depth *= np.float32(2 * np.pi)
    field = np.empty((beams, padded), np.complex64)
    field.real = np.bincount(place, (strength * np.cos(depth)).ravel(), beams * padded).reshape(beams, padded)
    field.imag = np.bincount(place, (strength * np.sin(depth)).ravel(), beams * padded).reshape(beams, padded)
    return field


@dataclass(frozen=True, kw_only=True)
class _Display:
    """For each fine pixel: which gray values of the polar picture it mixes, and how; 0 outside the sector."""

    index: Int[np.ndarray, " pixel"]
    inside: Int[np.ndarray, " pixel"]
    across: Float[np.ndarray, " pixel"]
    along: Float[np.ndarray, " pixel"]


FINE = 2
"""Fine pixels per pixel of the image, each way."""


def spacing_mm(scanner: Scanner, depth_mm: float, image_size: int) -> float:
    """Side of a pixel."""
    return scanner.side * depth_mm / image_size


@lru_cache(maxsize=32)
def _display(scanner: Scanner, depth_mm: float, image_size: int, rows: int) -> _Display:
    pixel_mm = spacing_mm(scanner, depth_mm, image_size) / FINE
    half_mm = scanner.side * depth_mm / 2
    place = (np.arange(image_size * FINE) + 0.5) * pixel_mm
    # The sector stands in the middle of the square's height; a curved array's corners lie above its face.
    top_mm = scanner.radius_mm * (np.cos(scanner.half_opening) - 1)
    shift_mm = (2 * half_mm - (depth_mm - top_mm)) / 2 - top_mm
    x_mm, z_mm = (place - half_mm)[None, :], (place - shift_mm + scanner.radius_mm)[:, None]
    depth = (np.hypot(x_mm, z_mm) - scanner.radius_mm) / depth_mm
    angle = np.arctan2(x_mm, z_mm)
    inside = (np.abs(angle) <= scanner.half_opening) & (depth >= 0) & (depth < 1)
    line = np.clip((angle / scanner.half_opening + 1) / 2 * (scanner.lines - 1), 0, scanner.lines - 1.001)[inside]
    row = np.clip(depth * rows - 0.5, 0, rows - 1.001)[inside]
    index = line.astype(np.int32) * rows + row.astype(np.int32)
    return _Display(
        index=index,
        inside=np.flatnonzero(inside),
        across=(line % 1).astype(np.float32),
        along=(row % 1).astype(np.float32),
    )


def display(
    echoes: Float[np.ndarray, "line sample"], scanner: Scanner, depth_mm: float, image_size: int
) -> UInt8[np.ndarray, "height width"]:
    """Gray square image: mean envelope over a fine pixel's depth, compressed, then the sector; black outside."""
    shown = depth_mm / polar_grid(scanner, depth_mm).sample_mm
    rows = min(round(depth_mm / spacing_mm(scanner, depth_mm, image_size) * FINE), int(shown))
    edges = np.linspace(0, shown, rows + 1).round().astype(np.intp)
    mean = np.add.reduceat(echoes[:, : edges[-1]], edges[:-1], axis=1) / np.diff(edges).astype(np.float32)
    decibel = 20 * np.log10(np.maximum(mean, np.float32(1e-6)))
    gray = np.clip(np.float32(scanner.gray) + decibel / np.float32(scanner.dynamic_range_db), 0, 1)
    if scanner.gray_exponent != 1:
        gray **= np.float32(scanner.gray_exponent)
    table = _display(scanner, depth_mm, image_size, rows)
    flat = gray.ravel()
    near = flat[table.index] * (1 - table.along) + flat[table.index + 1] * table.along
    next_line = table.index + rows
    far = flat[next_line] * (1 - table.along) + flat[next_line + 1] * table.along
    fine = np.zeros((image_size * FINE) ** 2, np.float32)
    fine[table.inside] = near + (far - near) * table.across
    image = fine.reshape(image_size, FINE, image_size, FINE).mean(axis=(1, 3))
    square: UInt8[np.ndarray, "height width"] = (image * 255 + np.float32(0.5)).astype(np.uint8)
    return square
