"""Who classified the test images of a study, as its report tells of them: networks cell by cell, and persons."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from dashboard.figures import accuracy
from dashboard.figures.answer_rows import FIELDS, answering, network_answers, person_answers
from dashboard.figures.published_classes import published_rows
from dashboard.figures.readers import NETWORK, PERSON
from dashboard.figures.rows import parts
from dashboard.report.findings import Findings
from engine import reader_study
from engine.published import cheng2017, pasdeloup2018
from engine.published.citation import Citation
from engine.significance import Family
from engine.significance.accuracy import Accuracy, accuracy_interval
from engine.significance.paired_accuracy import accuracy_family
from engine.store import latest

RESAMPLES = 2000
"""Resamples of an interval, which is told to three digits."""
CITATIONS = {"cardiac phantoms": pasdeloup2018.CITATION, "abdominal phantoms": cheng2017.CITATION}
"""Whose classes the built-in images have: beside others, the published values would only be numbers."""


@dataclass(frozen=True, kw_only=True)
class Readers:
    """The readers of a classification study. What takes time is made when it is asked for, once."""

    findings: Findings

    @cached_property
    def answers(self) -> pd.DataFrame:
        """A row per reader and test image, networks first; columns as `figures.answer_rows.COLUMNS`."""
        found = self.findings
        wanted = answering(found.plan, found.attempts, found.trials)
        images = found.store.test_images(found.study, list(wanted["id"]), columns=FIELDS)
        tables = [network_answers(wanted, images, found.study)]
        tables.append(person_answers(reader_study.answers(found.store, found.study), found.study))
        filled = [table for table in tables if len(table)]
        return pd.concat(filled, ignore_index=True) if filled else tables[0]

    @cached_property
    def persons(self) -> pd.DataFrame:
        """A row per person who has answered, finished or not; columns as `engine.reader_study.summary`."""
        table = reader_study.summary(self.findings.store, self.findings.study)
        return table[table["answered"] > 0].reset_index(drop=True)

    @cached_property
    def by_name(self) -> dict[str, pd.DataFrame]:
        """The answers of each reader."""
        return {str(name): part for name, part in parts(self.answers, "reader")} if len(self.answers) else {}

    @cached_property
    def found(self) -> dict[str, Accuracy]:
        """How often each reader is right over all its images, with intervals."""
        return {
            name: accuracy_interval(part, classes=self.classes, fixed_test_set=self.is_fixed, resamples=RESAMPLES)
            for name, part in self.by_name.items()
        }

    @cached_property
    def measures(self) -> pd.DataFrame:
        """A row per reader with all its measures; columns as `figures.accuracy.measures_table`."""
        table = accuracy.accuracy_table(self.answers, self.found)
        return accuracy.measures_table(table, self.answers, self.found, latest(self.findings.attempts))

    @cached_property
    def bars(self) -> pd.DataFrame:
        """The readers, the start weights on their own held-out images, and the published ones where there are any."""
        rows = [self.measures, accuracy.on_known_scanner(self.measures), self.published]
        return pd.concat([part for part in rows if len(part)], ignore_index=True)

    @cached_property
    def parted(self) -> pd.DataFrame:
        """A row per reader and class, then per scanner; columns as `figures.accuracy.parted_table`."""
        return accuracy.parted_table(self.found)

    @cached_property
    def family(self) -> Family:
        """Every reader against the reference on the same images."""
        pairs = [(name, self.reference) for name in self.by_name if name != self.reference]
        words = f"every reader against {self.reference}"
        return accuracy_family(self.by_name, pairs, name=words, fixed_test_set=self.is_fixed, resamples=RESAMPLES)

    @cached_property
    def published(self) -> pd.DataFrame:
        """Published rows beside the readers, as `bars` has them: of the paper with these classes and these networks."""
        citation = self.citation
        rows = published_rows(set(self.measures.loc[self.measures["kind"] == NETWORK, "network"]))
        return rows[rows["reader"] == citation.short] if citation else rows.iloc[:0]

    @property
    def citation(self) -> Citation | None:
        """The paper whose classes the study's images have; None of others."""
        return CITATIONS.get(str(self.findings.facts["data"].get("kind")))

    @property
    def classes(self) -> list[str]:
        """In the study's order."""
        return [str(name) for name in self.findings.facts["data"].get("classes") or []]

    @property
    def is_fixed(self) -> bool:
        """Whether the test images were given, so that no training ever saw one of them."""
        return bool((self.findings.plan["split_by"] == "given").all())

    @property
    def reference(self) -> str:
        """The reader that others are held against: the study's reference on most images, else the first network."""
        networks = self.answers[self.answers["kind"] == NETWORK]
        own = networks[networks["strategy"] == self.findings.reference]
        own = own if len(own) else networks if len(networks) else self.answers
        return str(own.sort_values("fraction", ascending=False, kind="stable")["reader"].iloc[0])

    @cached_property
    def looked_at(self) -> dict[str, str]:
        """Readers whose mistakes are told of, with what they are: the reference, and what is recommended beside it."""
        found = {self.reference: "the reference"}
        networks = self.answers[self.answers["kind"] == NETWORK]
        for row in sorted(self.findings.rows, key=lambda row: row.fraction, reverse=True):
            if row.recommendation is None or row.recommendation.strategy is None:
                continue
            own = networks[
                (networks["strategy"] == row.recommendation.strategy) & (networks["fraction"] == row.fraction)
            ]
            own = own[own["start"].isin([row.start, ""])]
            if len(own):
                name = str(own["reader"].iloc[0])
                return {**found, name: "recommended" if name not in found else "the reference, and recommended"}
        return found

    @property
    def people(self) -> list[str]:
        """Names of the persons."""
        return list(dict.fromkeys(self.answers.loc[self.answers["kind"] == PERSON, "reader"]))
