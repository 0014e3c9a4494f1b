"""Four simulated sector scanners: two for the heart, two for the abdomen.

A phased array steers its beams from one point; a curved array's beams stand on an arc. The two of a pair differ as
devices do that meet in clinics: a cart and a pocket device for the heart, a newer and an older cart for the abdomen.
All settings are ours, and were fixed before any result of adapting from one to the other was seen.

                          heart A    heart B    abdomen A  abdomen B  why
    stands for            a cart     a pocket   a newer    an older
                                     device     cart       cart
    centre frequency      2.6 MHz    2.0 MHz    3.2 MHz    4.2 MHz    presets: penetration against detail
    bandwidth (-6 dB)     48 %       36 %       52 %       50 %       pulse 0.54, 0.94, 0.41, 0.32 mm long
    beams                 160        96         176        128        channels
    opening angle         76 deg     66 deg     68 deg     56 deg     presets
    radius of the array   0          0          50 mm      60 mm      phased; usual curved arrays
    beam at the face      1.6 mm     2.4 mm     1.4 mm     1.8 mm     aperture
    its growth            0.018      0.034      0.014      0.022      wavelength by aperture, mm per mm of depth
    side lobes            -36 dB     -27 dB     -36 dB     -30 dB     fewer channels, poorer apodisation
    dynamic range         62 dB      44 dB      60 dB      48 dB      soft against hard contrast
    brightness of 0 dB    52 %       46 %       47 %       42 %       the maker's preset
    gray curve, exponent  1          0.85       1          1.15       the maker's gray map
    compensation, dB/cm   1.9        1.5        2.9        3.9        the tissue's loss less what blood spares it
    sliders, dB,          -4 0 1     3 0 -1     -3 0 1     -6 -1 2    a near field turned down (A) and left bright
      from top to bottom  1 0        -2 -4      1 1        1 -2       (heart B); a band turned up (abdomen B)
    noise at the skin     -70 dB     -48 dB     -66 dB     -60 dB     electronics; the gain lifts it with depth
    clutter at the skin   -9 dB      -2 dB      -12 dB     -6 dB      reverberation in chest wall and skin
    side by depth         1.24       1.10       1.04       1.00       how tightly the image is cut out

0 dB is the echo of heart muscle or liver at the skin.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """A phased or curved array, its receiver and its display."""

    name: str
    """`A` or `B`."""
    shown: str
    """What it stands for, for tables and pages."""
    stream: int
    """Number of the stream of random numbers: scanners of other streams see other patients."""
    centre_frequency_mhz: float
    fractional_bandwidth: float
    """Width of the pulse's amplitude spectrum at half its height (-6 dB), as a part of the centre frequency."""
    lines: int
    """Beams, at equal angles."""
    opening_degrees: float
    radius_mm: float = 0.0
    """Of a curved array's face; 0 for a phased array."""
    beam_width_mm: float
    """Full width at half maximum of the two-way beam at the face."""
    beam_growth: float
    """Width at depth is sqrt(beam_width_mm^2 + (beam_growth depth)^2): millimetres per millimetre far away."""
    side_lobes_db: float
    """Amplitude of a broad skirt (six times as wide) under the beam."""
    dynamic_range_db: float
    """From white down to black."""
    gray: float
    """Brightness of 0 dB, black 0, white 1."""
    gray_exponent: float = 1.0
    """Brightness to this power is shown."""
    compensation_db_per_cm: float
    """Gain that the receiver adds per cm of depth, to echoes and noise alike (time-gain compensation)."""
    gain_curve_db: tuple[float, ...]
    """The sliders: further gain from the skin to the bottom at equal distances, linear between."""
    noise_db: float
    """Receiver noise in the pulse's band, relative to 0 dB tissue at the skin."""
    clutter_db: float
    """Haze of reverberations at the skin; it falls by 8.7 dB per `CLUTTER_MM`."""
    side: float
    """Side of the square image as a part of the depth."""
    scatterers_per_cell: float = 11.0
    """In a resolution cell (-6 dB by -6 dB) at the far end; fully developed speckle needs about 10."""

    @property
    def half_opening(self) -> float:
        """Angle of the outermost line, in radians."""
        return float(np.radians(self.opening_degrees) / 2)

    @property
    def pulse_mm(self) -> float:
        """Standard deviation of the pulse's envelope over depth: sound goes there and back."""
        microseconds = np.sqrt(2 * np.log(2)) / (np.pi * self.fractional_bandwidth * self.centre_frequency_mhz)
        return float(microseconds * SPEED_MM_PER_US / 2)


SPEED_MM_PER_US = 1.54
"""Speed of sound."""
CLUTTER_MM = 14.0

CARDIAC_SCANNERS = {
    "A": Scanner(
        name="A",
        shown="simulated cardiac cart",
        stream=0,
        centre_frequency_mhz=2.6,
        fractional_bandwidth=0.48,
        lines=160,
        opening_degrees=76.0,
        beam_width_mm=1.6,
        beam_growth=0.018,
        side_lobes_db=-36.0,
        dynamic_range_db=62.0,
        gray=0.52,
        compensation_db_per_cm=1.9,
        gain_curve_db=(-4.0, 0.0, 1.0, 1.0, 0.0),
        noise_db=-70.0,
        clutter_db=-9.0,
        side=1.24,
    ),
    "B": Scanner(
        name="B",
        shown="simulated pocket scanner",
        stream=1,
        centre_frequency_mhz=2.0,
        fractional_bandwidth=0.36,
        lines=96,
        opening_degrees=66.0,
        beam_width_mm=2.4,
        beam_growth=0.034,
        side_lobes_db=-27.0,
        dynamic_range_db=44.0,
        gray=0.46,
        gray_exponent=0.85,
        compensation_db_per_cm=1.5,
        gain_curve_db=(3.0, 0.0, -1.0, -2.0, -4.0),
        noise_db=-48.0,
        clutter_db=-2.0,
        side=1.10,
    ),
}
ABDOMINAL_SCANNERS = {
    "A": Scanner(
        name="A",
        shown="simulated abdominal cart",
        stream=0,
        centre_frequency_mhz=3.2,
        fractional_bandwidth=0.52,
        lines=176,
        opening_degrees=68.0,
        radius_mm=50.0,
        beam_width_mm=1.4,
        beam_growth=0.014,
        side_lobes_db=-36.0,
        dynamic_range_db=60.0,
        gray=0.47,
        compensation_db_per_cm=2.9,
        gain_curve_db=(-3.0, 0.0, 1.0, 1.0, 1.0),
        noise_db=-66.0,
        clutter_db=-12.0,
        side=1.04,
    ),
    "B": Scanner(
        name="B",
        shown="simulated older abdominal cart",
        stream=1,
        centre_frequency_mhz=4.2,
        fractional_bandwidth=0.5,
        lines=128,
        opening_degrees=56.0,
        radius_mm=60.0,
        beam_width_mm=1.8,
        beam_growth=0.022,
        side_lobes_db=-30.0,
        dynamic_range_db=48.0,
        gray=0.42,
        gray_exponent=1.15,
        compensation_db_per_cm=3.9,
        gain_curve_db=(-6.0, -1.0, 2.0, 1.0, -2.0),
        noise_db=-60.0,
        clutter_db=-6.0,
        side=1.0,
    ),
}
