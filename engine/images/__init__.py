"""Read what ultrasound is kept in, and bring arrays to the network's square. Needs no torch.

Pictures (PNG, JPEG, TIFF, BMP, GIF), DICOM, NIfTI, MetaImage and video. `read_image` gives one frame, `open_clip` what
a file holds and its frames one at a time. Readers of a format load their library when a file needs it.
"""

from engine.images.clips import Clip, open_clip
from engine.images.kept import UNCUT, Box, Kept
from engine.images.kinds import READABLE_SUFFIXES, image_suffix, is_image_file, is_image_name
from engine.images.limits import LARGEST_PIXELS
from engine.images.reading import GrayImage, read_image, read_mask
from engine.images.resizing import resize_image, resize_mask
from engine.images.source import Stream

__all__ = [
    "LARGEST_PIXELS",
    "READABLE_SUFFIXES",
    "UNCUT",
    "Box",
    "Clip",
    "GrayImage",
    "Kept",
    "Stream",
    "image_suffix",
    "is_image_file",
    "is_image_name",
    "open_clip",
    "read_image",
    "read_mask",
    "resize_image",
    "resize_mask",
]
