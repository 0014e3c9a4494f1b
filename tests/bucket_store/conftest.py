"""A real S3-protocol server, and a store of this test alone in its bucket."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.store import Store
from tests.bucket import BUCKET, S3Server, s3_server


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    with s3_server() as running:
        yield running


@pytest.fixture
def address(server: S3Server, request: pytest.FixtureRequest) -> str:
    """A folder of the bucket for this test alone."""
    return f"s3://{BUCKET}/{abs(hash(request.node.name))}/results"


@pytest.fixture
def store(address: str, tmp_path: Path) -> Store:
    return Store.at(address, tmp_path / "mirror")
