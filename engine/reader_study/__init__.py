"""Persons who classify the test frames of a classification study, as its networks do. No torch.

    <study>/readers/frames.json        which frames, the same for all readers; written once, before the first answer
                    <reader>.jsonl     what one reader said: a line per answer, only ever added to

A line is on disk before the next frame is shown. Nothing here is sent to a browser as it is: it names the truth.
"""

from engine.reader_study.answers import ANSWER_COLUMNS, answers, damaged, stamp, summary
from engine.reader_study.frames import Frame, Frames, choose_frames, folds, kept_frames
from engine.reader_study.reader import EXPOSURES, Reader, reader_id
from engine.reader_study.reading import Answer, Reading
from engine.reader_study.sitting import Sitting, continue_reader, open_reader, readers

__all__ = [
    "ANSWER_COLUMNS",
    "EXPOSURES",
    "Answer",
    "Frame",
    "Frames",
    "Reader",
    "Reading",
    "Sitting",
    "answers",
    "choose_frames",
    "continue_reader",
    "damaged",
    "folds",
    "kept_frames",
    "open_reader",
    "reader_id",
    "readers",
    "stamp",
    "summary",
]
