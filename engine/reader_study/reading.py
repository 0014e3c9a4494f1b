"""What a reader's lines say: the answers that stand, in the reader's order, and what was looked at on the way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from engine.reader_study.frames import Frame
from engine.reader_study.journal import Line, Record
from engine.reader_study.reader import Reader


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was said of one frame last."""

    frame: Frame
    predicted: str
    number: int
    """Place in the reader's order, from 1."""
    seconds: float
    """How long the frame was in view, as the browser measured it, over all looks at it; pauses do not count."""
    looks: int
    """Answers to this frame, those that were undone included."""
    at: str
    """UTC, ISO 8601: when the server had it."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Labelled frames that were looked at together."""

    label: str
    indices: tuple[int, ...]
    large: bool
    """One frame was opened; otherwise they stood on a page of small ones."""
    seconds: float
    during: int
    """Place, from 1, of the frame to classify that waited meanwhile."""


@dataclass
class Reading:
    """A reader's file as far as it was read; `take` follows it line by line."""

    reader: Reader | None = None
    """None before the first line."""
    begun: str = ""
    secret: str = ""
    """Key of the tokens that frames are served under."""
    order: tuple[int, ...] = ()
    """Places of the frames in the reader's random order."""
    standing: list[Answer] = field(default_factory=list)
    """The answers that stand, in that order."""
    opened: list[Opened] = field(default_factory=list)
    sittings: list[str] = field(default_factory=list)
    """When each began."""
    undone: int = 0
    problems: list[str] = field(default_factory=list)
    """A line for each line of the file that does not count."""
    _seen: dict[int, tuple[float, int]] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether every frame has an answer."""
        return bool(self.order) and len(self.standing) == len(self.order)

    @property
    def current(self) -> int | None:
        """Place of the frame that waits; None where all are answered, or nothing is known."""
        return self.order[len(self.standing)] if len(self.standing) < len(self.order) else None

    def take(self, line: Line) -> None:
        """One line more; what cannot be true is left out and said."""
        number, record = line
        problem = "it cannot be read (half-written, or damaged)"
        if record is not None:
            try:
                problem = self._took(record)
            except (KeyError, TypeError, ValueError, AttributeError):
                problem = "it is not what this version writes"
        if problem:
            self.problems.append(f"line {number} does not count: {problem}")

    def _took(self, record: Record) -> str:
        kind = record["kind"]
        if kind == "reader":
            return self._begins(record)
        if self.reader is None:
            return "it stands before the reader's own line"
        if kind == "sitting":
            self.sittings.append(str(record["at"]))
        elif kind == "answer":
            return self._answers(record)
        elif kind == "undo":
            return self._undoes(record)
        elif kind == "labelled":
            self.opened.append(
                Opened(
                    label=str(record["label"]),
                    indices=tuple(int(index) for index in record["indices"]),
                    large=bool(record["large"]),
                    seconds=float(record["seconds"]),
                    during=len(self.standing) + 1,
                )
            )
        else:
            return f"'{kind}' is not known to this version"
        return ""

    def _begins(self, record: Record) -> str:
        if self.reader is not None:
            return "the reader is named already"
        order, about = tuple(int(index) for index in record["order"]), record["reader"]
        self.reader = Reader(**{name: about[name] for name in ("name", "years", "examinations", "exposure", "note")})
        self.begun, self.secret, self.order = str(record["at"]), str(record["secret"]), order
        return ""

    def _answers(self, record: Record) -> str:
        frame = Frame(**{name: record[name] for name in Frame.__dataclass_fields__})
        if frame.index != self.current:
            return f"it answers frame {frame.index}, whose turn it was not"
        seconds, looks = self._seen.get(frame.index, (0.0, 0))
        seconds, looks = seconds + float(record["seconds"]), looks + 1
        self._seen[frame.index] = seconds, looks
        self.standing.append(
            Answer(
                frame=frame,
                predicted=str(record["predicted"]),
                number=len(self.standing) + 1,
                seconds=seconds,
                looks=looks,
                at=str(record["at"]),
            )
        )
        return ""

    def _undoes(self, record: Record) -> str:
        if not self.standing or self.standing[-1].frame.index != int(record["index"]):
            return f"it takes back frame {record['index']}, which was not the last one"
        self.standing.pop()
        self.undone += 1
        return ""


def reading(found: Iterable[Line]) -> Reading:
    """What these lines say."""
    made = Reading()
    for line in found:
        made.take(line)
    return made


def looked_at(opened: Sequence[Opened], number: int) -> tuple[int, float]:
    """How many labelled frames were opened while the frame at this place waited, and how long any were in view."""
    own = [one for one in opened if one.during == number]
    return len({index for one in own if one.large for index in one.indices}), sum(one.seconds for one in own)
