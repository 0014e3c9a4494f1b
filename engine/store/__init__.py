"""Results in a folder, a bucket of S3, or any pyarrow file system: the only module that writes them.

<root>/<study>/study.yaml            the study file, resolved
               facts.json            data, start weights and machine, in words and hashes
               plan.parquet          a row per planned trial
               attempts/*.parquet    a file per finished attempt: the file is the commit
               segments/*.parquet    finished attempts compacted, about 500 to a file
               weights/*.safetensors trained tensors per trial, start weights once
               damaged/*             files that could not be read, put aside by the next run
               progress.json         what a run is doing now
               requests/*.json       what people ask of a run (`engine.steering`)
               archived              only there where the study was archived: since when
<root>/.leases/<study>.json          keeps two runs of a study apart
"""

from engine.store.files import Files
from engine.store.lease import Lease, is_running
from engine.store.places import Entry
from engine.store.rows import Rows
from engine.store.schema import FLAT
from engine.store.store import ARCHIVED, SEGMENT, Known, Store, closed_ids, latest, node_cache

__all__ = [
    "ARCHIVED", "FLAT", "SEGMENT", "Entry", "Files", "Known", "Lease", "Rows", "Store", "closed_ids", "is_running",
    "latest", "node_cache",
]  # fmt: skip
