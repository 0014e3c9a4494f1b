"""What was kept of a file, to be told to whoever gave it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Num

UNCUT = "nothing was cut away, text in the picture included"
"""In a note on a DICOM file whose header names no region that can be used."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, plane: Num[np.ndarray, "height width"]) -> Num[np.ndarray, "kept_height kept_width"]:
        """The part of `plane` inside the box."""
        return plane[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """All that is known of a file beside its pixels. Nothing in it names a person; nothing says that pixels do not."""

    format: str
    """What the file is: `PNG`, `DICOM, JPEG Baseline (Process 1)`, `video, h264`."""
    frames: int
    """Frames, as the file says it; a damaged clip may end before."""
    height: int
    """Rows of a frame, after the cut."""
    width: int
    """Columns of a frame, after the cut."""
    spacing_mm: tuple[float, float] | None = None
    """Distance of two rows and of two columns, in mm; None where unknown."""
    frame_ms: float | None = None
    """Time from one frame to the next, in milliseconds; None where unknown."""
    scanner: str = ""
    """Manufacturer and model; "" where unknown."""
    group: str = ""
    """A salted hash of the patient's number, or of the study where there is none; "" where unknown."""
    box: Box | None = None
    """The part of the file's frames that was kept; None where nothing was cut away."""
    source_height: int
    """Rows of a frame in the file."""
    source_width: int
    """Columns of a frame in the file."""
    cut_away: str = ""
    """What was cut away, in words; "" where nothing was."""
    notes: tuple[str, ...] = ()
    """What should be known of the reading, a line each."""

    @property
    def pixel_mm(self) -> float | None:
        """Side of one pixel in mm where pixels are square within 2 %; None where they are not, or it is unknown."""
        if self.spacing_mm is None:
            return None
        down, across = self.spacing_mm
        return (down + across) / 2 if abs(down - across) <= 0.02 * max(down, across) else None

    @property
    def told(self) -> tuple[str, ...]:
        """What was kept of the file, what was cut away, and what should be known of it, a line each."""
        mm = "" if self.spacing_mm is None else " × ".join(f"{side:.3g}" for side in self.spacing_mm) + " mm a pixel"
        rate = "" if self.frame_ms is None or self.frames == 1 else f"{1000 / self.frame_ms:.3g} frames per second"
        facts = [
            self.format,
            "1 frame" if self.frames == 1 else f"{self.frames:,} frames",
            f"{self.width} × {self.height}",
            mm or "size of a pixel unknown: areas in pixels alone",
            rate,
            self.scanner,
            f"group {self.group[:8]} (a hash)" if self.group else "",
        ]
        cut = f"Cut away: {self.cut_away}." if self.cut_away else "Nothing was cut away."
        notes = (note[:1].upper() + note[1:] for note in self.notes)
        return (" · ".join(fact for fact in facts if fact), cut, *notes)
