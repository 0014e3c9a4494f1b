"""Pages, the server, Live and the reader page: everything that looks at what the engine has stored."""

import os

# Every run of a page is a thread of its own, and Arrow's own allocator (mimalloc) keeps what such threads have freed:
# the server grows beside a study that trains. Arrow looks at this once, so it is set before anything loads it.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
