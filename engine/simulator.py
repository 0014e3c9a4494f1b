"""B-mode ultrasound images of phantoms, by linear acoustics: scatterers, point spread function, envelope, log.

Point scatterers lie at random in a plane; a lesion's echo `k` times as strong as the background's. Each RF line
sums the echoes under its beam (Gaussian across), convolved with a Gaussian-modulated pulse; then comes receiver
noise, the envelope by Hilbert transform, log compression and scan conversion of the lines to a square image
(linear array).

Scanner A is SUS of Amiri et al. 2020, II-B: 50 RF lines, 3.5 MHz, sampled at 100 MHz, hypoechoic circles and ellipses
with 0 < k < 1 at random places; they used Field II (Jensen 1996). What they do not state is ours and stands in the
fields below. Scanner B is ours: a small-parts array as found beside it in a clinic, for the question of what to
fine-tune when the device changes. Both were fixed before any result of fine-tuning was seen.

                             A (SUS)      B (small parts)
    centre frequency         3.5 MHz      7.5 MHz        an abdominal against a small-parts array
    bandwidth (-6 dB)        60 %         75 %           pulse 0.32 mm against 0.12 mm long: finer speckle
    lines over 40 mm         50           128
    beam                     1.2 mm       0.6 mm         about in proportion to the wavelength
    attenuation              none         7.5 dB/cm      0.5 dB/cm/MHz (soft tissue) there and back at 7.5 MHz
    compensation             none         6 dB/cm        set somewhat low: 6 dB darker at 4 cm than at the skin
    noise at skin / 4 cm     2 % / 2 %    1 % / 32 %     of the background's echoes there: B sees less far
    dynamic range            40 dB        60 dB          softer contrast
    gain                     0 dB         -12 dB         the strongest echo is light gray, not white

A without attenuation is SUS taken as compensated already. Scatterers stand four times as dense for B, since its
resolution cell is five times as small. Lesions are drawn alike for both, but never the same ones: no outline that
start weights saw through one scanner comes again through the other.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import fft

SIMULATOR_REVISION = 1
"""Raised when a change of this module changes its images."""


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """A linear array and its receiver; the defaults are SUS."""

    centre_frequency_mhz: float = 3.5
    fractional_bandwidth: float = 0.6
    """Width of the pulse's amplitude spectrum at half its height (-6 dB), as a part of the centre frequency."""
    sampling_mhz: float = 100.0
    """Sampling of the RF lines along depth."""
    lines: int = 50
    """RF lines, side by side at equal distances over the width."""
    beam_width_mm: float = 1.2
    """Full width at half maximum of the two-way beam, the same at all depths."""
    depth_mm: float = 40.0
    width_mm: float = 40.0
    dynamic_range_db: float = 40.0
    """From white down to black."""
    gain_db: float = 0.0
    """Strength of an image's strongest echo relative to white."""
    noise: float = 0.02
    """Receiver noise in the pulse's band, relative to the root mean square of the background's echoes at the skin."""
    speed_mm_per_us: float = 1.54
    """Speed of sound."""
    scatterers_per_mm2: float = 100.0
    """All alike, at random places. Some 40 per resolution cell of SUS; fully developed speckle needs about 10."""
    attenuation_db_per_cm: float = 0.0
    """Loss of echoes per cm of depth, there and back, at the centre frequency; the pulse keeps its shape."""
    compensation_db_per_cm: float = 0.0
    """Gain that the receiver adds per cm of depth, to echoes and noise alike (time-gain compensation)."""
    stream: int = 0
    """Number of the stream of random numbers: scanners of other streams see other lesions."""

    @property
    def sample_mm(self) -> float:
        """Depth of one RF sample: sound goes there and back."""
        return self.speed_mm_per_us / (2 * self.sampling_mhz)


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """An ellipse (a circle where both half axes agree) that echoes less than its surroundings."""

    x_mm: float
    """Centre, from the left border."""
    z_mm: float
    """Centre, from the skin."""
    half_axes_mm: tuple[float, float]
    angle: float
    """Of the first half axis against the skin, in radians."""
    k: float
    """Amplitude of its scatterers relative to the background's, 0 < k < 1."""

    def covers(
        self, x_mm: Float[np.ndarray, "*#places"], z_mm: Float[np.ndarray, "*#places"]
    ) -> Bool[np.ndarray, "..."]:
        """True where a place lies inside."""
        dx, dz = x_mm - self.x_mm, z_mm - self.z_mm
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        first, second = self.half_axes_mm
        along, across = (cosine * dx + sine * dz) / first, (cosine * dz - sine * dx) / second
        inside: Bool[np.ndarray, ...] = along**2 + across**2 <= 1
        return inside


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """One simulated image and what it shows."""

    envelope: Float[np.ndarray, "line sample"]
    """Detected echoes before log compression; 1 is the root mean square of the background's at the skin."""
    image: UInt8[np.ndarray, "height width"]
    mask: UInt8[np.ndarray, "height width"]
    """1 in lesions."""
    lesions: tuple[Lesion, ...]


SUS = Scanner()
SMALL_PARTS = Scanner(
    centre_frequency_mhz=7.5,
    fractional_bandwidth=0.75,
    lines=128,
    beam_width_mm=0.6,
    dynamic_range_db=60.0,
    gain_db=-12.0,
    noise=0.01,
    scatterers_per_mm2=400.0,
    attenuation_db_per_cm=7.5,
    compensation_db_per_cm=6.0,
    stream=1,
)
SCANNERS = {"A": SUS, "B": SMALL_PARTS}
MOST_LESIONS = 3
RADIUS_MM = (3.0, 8.0)
K = (0.05, 0.7)
"""Lesions nearer to k = 1 drown in speckle: nobody, and no network, could draw them."""


def simulate(
    images: int = 85, image_size: int = 128, seed: int = 0, scanner: Scanner = SUS
) -> tuple[UInt8[np.ndarray, "image height width"], UInt8[np.ndarray, "image height width"], list[tuple[Lesion, ...]]]:
    """B-mode images, masks (1 in lesions) and the lesions of each; squares of side `image_size` pixels.

    Image i depends on (seed, i), the scanner and the size only, never on how many are made; its lesions on (seed, i)
    and the scanner's stream.
    """
    shape = (images, image_size, image_size)
    bmode, masks = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
    phantoms = []
    for index in range(images):
        # NumPy takes [seed, index, 0] for [seed, index].
        random = np.random.default_rng([seed, index, scanner.stream])
        lesions = draw_lesions(random, scanner)
        made = simulate_image(lesions, random, image_size=image_size, scanner=scanner)
        bmode[index], masks[index] = made.image, made.mask
        phantoms.append(lesions)
    return bmode, masks, phantoms


def draw_lesions(random: np.random.Generator, scanner: Scanner = SUS) -> tuple[Lesion, ...]:
    """One to three lesions at random places, whole in the image and apart from each other; half of them circles."""
    wanted = random.integers(1, MOST_LESIONS + 1)
    lesions: list[Lesion] = []
    # A place that is taken is drawn again, twenty times at most: a crowded phantom keeps fewer lesions.
    for _ in range(20):
        first = random.uniform(*RADIUS_MM)
        second = first if random.random() < 0.5 else first * random.uniform(0.5, 0.9)
        x_mm = random.uniform(first, scanner.width_mm - first)
        z_mm = random.uniform(first, scanner.depth_mm - first)
        angle, k = random.uniform(0, np.pi), random.uniform(*K)
        if all(np.hypot(x_mm - other.x_mm, z_mm - other.z_mm) > first + other.half_axes_mm[0] + 1 for other in lesions):
            lesions.append(Lesion(x_mm=x_mm, z_mm=z_mm, half_axes_mm=(first, second), angle=angle, k=k))
        if len(lesions) == wanted:
            break
    return tuple(lesions)


def simulate_image(
    lesions: tuple[Lesion, ...], random: np.random.Generator, *, image_size: int = 128, scanner: Scanner = SUS
) -> Simulated:
    """What the scanner shows of the lesions: envelope, image and mask."""
    envelope = _envelope(lesions, random, scanner)
    x_mm = (np.arange(image_size) + 0.5) * (scanner.width_mm / image_size)
    z_mm = (np.arange(image_size) + 0.5) * (scanner.depth_mm / image_size)
    mask = np.zeros((image_size, image_size), np.uint8)
    for lesion in lesions:
        mask[lesion.covers(x_mm[None, :], z_mm[:, None])] = 1
    image = _scan_convert(envelope, image_size, scanner)
    return Simulated(envelope=envelope, image=image, mask=mask, lesions=lesions)


def _envelope(
    lesions: tuple[Lesion, ...], random: np.random.Generator, scanner: Scanner
) -> Float[np.ndarray, "line sample"]:
    """The lines' envelope in units of the background's root mean square."""
    pitch_mm = scanner.width_mm / scanner.lines
    beam_mm = scanner.beam_width_mm / (2 * np.sqrt(2 * np.log(2)))  # standard deviation
    pulse_us = np.sqrt(2 * np.log(2)) / (np.pi * scanner.fractional_bandwidth * scanner.centre_frequency_mhz)
    # Echoes from beyond the borders reach into the image, so scatterers lie there too.
    margin_x_mm, margin_z_mm = 4 * beam_mm, 4 * pulse_us * scanner.speed_mm_per_us / 2
    margin = int(np.ceil(margin_z_mm / scanner.sample_mm))
    inner = round(scanner.depth_mm / scanner.sample_mm)
    samples = fft.next_fast_len(inner + 2 * margin, real=True)

    # Columns, a quarter of the beam apart or less, on which scatterers are gathered across the width.
    columns = int(np.ceil((scanner.width_mm + 2 * margin_x_mm) / (beam_mm / 2)))
    column_mm = (scanner.width_mm + 2 * margin_x_mm) / columns
    count = round(scanner.scatterers_per_mm2 * columns * column_mm * samples * scanner.sample_mm)
    column = random.integers(columns, size=count)
    sample = random.integers(samples, size=count)
    # All alike: with signs or sizes at random, speckle would need several times as many to be fully developed.
    strength = np.ones(count, np.float32)
    column_x_mm = (np.arange(columns) + 0.5) * column_mm - margin_x_mm
    scatterer_x_mm, scatterer_z_mm = column_x_mm[column], (sample - margin + 0.5) * scanner.sample_mm
    for lesion in lesions:
        strength[lesion.covers(scatterer_x_mm, scatterer_z_mm)] *= lesion.k
    plane = np.bincount(column * samples + sample, weights=strength, minlength=columns * samples)
    plane = plane.reshape(columns, samples).astype(np.float32)

    line_x_mm = (np.arange(scanner.lines) + 0.5) * pitch_mm
    beam = np.exp(-0.5 * ((line_x_mm[:, None] - column_x_mm[None, :]) / beam_mm) ** 2)
    # Brings the sum over a beam in the middle to a variance of 1 per sample for the background.
    beam *= np.sqrt(columns * samples / count / np.square(beam).sum(axis=1).max())
    rf = beam.astype(np.float32) @ plane
    depth_cm = np.maximum(0.1 * (np.arange(samples) - margin + 0.5) * scanner.sample_mm, 0)
    rf *= (10 ** (-scanner.attenuation_db_per_cm * depth_cm / 20)).astype(np.float32)
    rf += np.float32(scanner.noise) * random.standard_normal(rf.shape, dtype=np.float32)

    # The pulse's spectrum, and twice its positive half alone: convolution and Hilbert transform in one step.
    frequency_mhz = fft.fftfreq(samples, 1 / scanner.sampling_mhz)
    spectrum_mhz = 1 / (2 * np.pi * pulse_us)
    pulse = np.exp(-0.5 * ((frequency_mhz - scanner.centre_frequency_mhz) / spectrum_mhz) ** 2)
    pulse *= np.where(frequency_mhz > 0, 2.0, 0.0)
    pulse /= np.sqrt(np.square(pulse).sum() / samples)
    spectrum = np.zeros((scanner.lines, samples), np.complex64)
    half = samples // 2 + 1
    spectrum[:, :half] = fft.rfft(rf)
    envelope: Float[np.ndarray, "line sample"] = np.abs(fft.ifft(spectrum * pulse.astype(np.float32)))
    envelope *= (10 ** (scanner.compensation_db_per_cm * depth_cm / 20)).astype(np.float32)
    return envelope[:, margin : margin + inner]


def _scan_convert(
    envelope: Float[np.ndarray, "line sample"], size: int, scanner: Scanner
) -> UInt8[np.ndarray, "height width"]:
    """Gray square image: mean envelope over a pixel's depth, compressed, then linear between neighbouring lines."""
    lines, samples = envelope.shape
    edges = np.linspace(0, samples, size + 1).round().astype(np.intp)
    rows = np.add.reduceat(envelope, edges[:-1], axis=1) / np.diff(edges)
    decibel = 20 * np.log10(np.maximum(rows, 1e-6) / rows.max())
    gray = np.clip(1 + (scanner.gain_db + decibel) / scanner.dynamic_range_db, 0, 1)
    place = np.clip((np.arange(size) + 0.5) * (lines / size) - 0.5, 0, lines - 1)
    left = np.minimum(place.astype(np.intp), lines - 2)
    part = (place - left)[:, None]
    image = gray[left] * (1 - part) + gray[left + 1] * part
    square: UInt8[np.ndarray, "height width"] = np.ascontiguousarray(image.T * 255 + 0.5).astype(np.uint8)
    return square
