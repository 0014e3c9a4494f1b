"""Who said what of which frame: the test images of a classification study's networks, and what persons answered.

The third part of the cached door to the engine; tables are kept with the store's listing, and copies handed out.
"""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard import data, kept
from dashboard.figures.answer_rows import COLUMNS, FIELDS, answering, network_answers, person_answers
from dashboard.figures.cells import Rate, rates
from dashboard.figures.differences import tukey_table
from dashboard.figures.readers import NETWORK, PERSON
from dashboard.figures.rows import parts
from dashboard.one_version import one_version
from dashboard.places import store_root
from engine import reader_study
from engine.significance import Family
from engine.significance.accuracy import Accuracy, accuracy_interval
from engine.significance.paired_accuracy import accuracy_family
from engine.store import Store, latest

_COMPARED = ["study", "index", "group", "scanner", "label", "predicted", "top2", "fold", "seed"]
"""Columns of answers that the numbers kept here come from."""
RESAMPLES = 2000
"""Resamples of an interval, which is told to a tenth of a percent; its standard error needs no more."""


def answers(study: str, *, rate: Rate | None = None, others: Sequence[str] = ()) -> pd.DataFrame:
    """A row per reader and frame; a reader is a cell of a study (all its folds and seeds), or a person.

    Of networks only complete cells at `rate` (the study's first where None), trainings that failed left out; start
    weights as they are too. `others` are further studies of the same frames. Columns are `answer_rows.COLUMNS`:
    `reader` is the name shown, `kind` is network or person, `accuracy` and `top2` are 1 or 0, `probabilities` an array
    in the order of `classes`, None of a person, `seconds` how long a person took. Empty for a study of masks.
    """
    if data.task(study) != "classification":
        return pd.DataFrame(columns=COLUMNS)
    tables = [_networks(one, rate if one == study else None) for one in (study, *others)]
    tables += [_persons(one) for one in (study, *others)]
    tables = [table for table in tables if len(table)]
    if not tables:
        return pd.DataFrame(columns=COLUMNS)
    table = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0].copy(deep=False)
    return _told_apart(table)


def classes(study: str) -> list[str]:
    """Names of the study's classes, in the order of the probabilities."""
    return [str(name) for name in data.facts(study).get("data", {}).get("classes") or []]


def attempts_of(table: pd.DataFrame) -> pd.DataFrame:
    """A row per training of the answers with what its attempt measured; columns as the store has them."""
    wanted = table.loc[table["kind"] == NETWORK, ["study", "id"]].drop_duplicates()
    found = []
    for study, part in parts(wanted, "study"):
        rows = latest(kept.attempts(store_root(), str(study), data.stamp(str(study))))
        found.append(rows[rows["id"].isin(part["id"])])
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["id"])


def accuracies(study: str, table: pd.DataFrame) -> dict[str, Accuracy]:
    """How often each reader of the answers is right, with intervals; kept for every reader until its answers change."""
    fixed, names = has_fixed_test_set(study), tuple(classes(study))
    return {str(reader): _accuracy(_identity(part), names, fixed, part) for reader, part in parts(table, "reader")}


def family(study: str, table: pd.DataFrame, reference: str) -> Family:
    """Every reader against one of them on the same frames: differences in accuracy and McNemar's tests; kept too."""
    own = {str(reader): part for reader, part in parts(table, "reader")}
    identity = tuple(_identity(part) for part in own.values())
    return _family(identity, reference, has_fixed_test_set(study), own)


def tukey(table: pd.DataFrame) -> pd.DataFrame:
    """Tukey's HSD over folds of every two networks; columns as `figures.differences.tukey_table`; kept too."""
    networks = table[table["kind"] == NETWORK]
    return _tukey(tuple(_identity(part) for _, part in parts(networks, "reader")), networks).copy(deep=False)


def has_fixed_test_set(study: str) -> bool:
    """Whether the study's test images were given, so that no training ever saw one of them."""
    return bool((data.plan(study)["split_by"] == "given").all())


def _identity(part: pd.DataFrame) -> tuple[str, int, int]:
    """What tells one reader's answers from all others': of which study and frame, by which training, what is true."""
    said = pd.util.hash_pandas_object(part[_COMPARED], index=False)
    return str(part["reader"].iloc[0]), len(part), int(said.sum())


@st.cache_resource(max_entries=256, show_spinner=False)
def _accuracy(identity: tuple[str, int, int], names: tuple[str, ...], fixed: bool, _part: pd.DataFrame) -> Accuracy:
    return accuracy_interval(_part, classes=names, fixed_test_set=fixed, resamples=RESAMPLES)


@st.cache_resource(max_entries=32, show_spinner=False)
def _tukey(identity: tuple[tuple[str, int, int], ...], _networks: pd.DataFrame) -> pd.DataFrame:
    return tukey_table(_networks)


@st.cache_resource(max_entries=32, show_spinner=False)
def _family(
    identity: tuple[tuple[str, int, int], ...], reference: str, fixed: bool, _readers: dict[str, pd.DataFrame]
) -> Family:
    pairs = [(name, reference) for name in _readers if name != reference]
    words = f"every reader against {reference}"
    return accuracy_family(_readers, pairs, name=words, fixed_test_set=fixed, resamples=RESAMPLES)


def readers(table: pd.DataFrame) -> list[str]:
    """Names of the readers: networks as the table has them, then persons."""
    people = table["kind"] == PERSON
    return [*dict.fromkeys(table.loc[~people, "reader"]), *dict.fromkeys(table.loc[people, "reader"])]


def of_reader(table: pd.DataFrame, reader: str) -> pd.DataFrame:
    """One answer of this reader to each frame: of several seeds the first."""
    own = table[table["reader"] == reader].sort_values(["seed", "fold"], kind="stable")
    return own.drop_duplicates("index").sort_values("index", ignore_index=True)


def comparable(study: str) -> list[str]:
    """Other studies of the same frames and classes."""
    own = data.facts(study)["data"]
    found = []
    for name in data.studies():
        other = data.facts(name)["data"] if name != study and data.is_planned(name) else {}
        if other.get("fingerprint") == own["fingerprint"] and other.get("classes") == own.get("classes"):
            found.append(name)
    return sorted(found)


def _networks(study: str, rate: Rate | None) -> pd.DataFrame:
    return _kept_networks(store_root(), study, data.stamp(study), rate)


def _persons(study: str) -> pd.DataFrame:
    store = data.store()
    return _kept_persons(store_root(), study, reader_study.stamp(store, study))


@one_version(8)
def _kept_persons(root: str, study: str, version: str) -> pd.DataFrame:
    return person_answers(reader_study.answers(Store.at(root), study), study)


@one_version(8)
def _kept_networks(root: str, study: str, version: str, rate: Rate | None) -> pd.DataFrame:
    plan, attempts = kept.plan(root, study, version), kept.attempts(root, study, version)
    trainings = kept.trials(root, study, version, rates(plan)[0] if rate is None else rate, None)
    wanted = answering(plan, attempts, trainings)
    images = Store.at(root).test_images(study, columns=FIELDS, known=kept.known(root, study, "answers"))
    return network_answers(wanted, images, study)


def _told_apart(table: pd.DataFrame) -> pd.DataFrame:
    """The same rows; where two studies have a reader of the same name, it says of which study it is."""
    names = table.drop_duplicates(["study", "reader"])
    double = set(names.loc[names["reader"].duplicated(keep=False), "reader"])
    if not double:
        return table
    named = table["study"] + ": " + table["reader"]
    return table.assign(reader=table["reader"].where(~table["reader"].isin(double), named))
