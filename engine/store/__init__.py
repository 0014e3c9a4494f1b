"""Results on a folder or any pyarrow file system: the only module that writes them.

<root>/<study>/study.yaml            the study file, resolved
               facts.json            data, start weights and machine, in words and hashes
               plan.parquet          a row per planned trial
               attempts/*.parquet    a file per finished attempt: the file is the commit
               segments/*.parquet    finished attempts compacted, about 500 to a file
               weights/*.safetensors trained tensors per trial, start weights once
               progress.json         what a run is doing now
<root>/.leases/<study>.json          keeps two runs of a study apart
"""

from engine.store.files import Files
from engine.store.lease import Lease, is_running
from engine.store.store import SEGMENT, Store, closed_ids, latest

__all__ = ["SEGMENT", "Files", "Lease", "Store", "closed_ids", "is_running", "latest"]
