"""Objects of an S3 bucket as files: one PUT each, also on condition that nobody else wrote meanwhile.

Credentials, region and endpoint come from where every AWS tool takes them: `AWS_*` variables, `~/.aws`, the role of
the machine or pod. pyarrow's own S3 file system has no conditional PUT (apache/arrow#44281), which the lease needs.
"""

import os
import posixpath
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from engine.errors import StoreError
from engine.store.places import Entry

LOOK_SECONDS = 1.0
"""Age at which what was asked is asked again."""
MOST_SEEN, LARGE_BYTES = 256, 2**20
"""Answers that are kept for that long, and the size of those that are not."""
QUICK_TRIES, PATIENT_TRIES = 7, 11
"""Tries of a request, with growing random pauses: about 2 s for who looks, for a run about 25 s and never 46.

Botocore 1.44 begins at 0.05 s (1 s before) and goes up to 20 s. A lease is renewed or given up before it expires.
"""
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 30.0
REGION = "us-east-1"
"""Where nothing names one; servers other than Amazon's rarely care."""
ABSENT = ("NoSuchKey", "404", "NotFound")
BEATEN = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
REASONS = {
    "NoSuchBucket": "there is no such bucket",
    "403": "access is denied to these credentials",
    "AccessDenied": "access is denied to these credentials",
    "InvalidAccessKeyId": "the access key is not known there",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "ExpiredToken": "the credentials have expired",
    "301": "the bucket lies in another region: set AWS_REGION",
    "PermanentRedirect": "the bucket lies in another region: set AWS_REGION",
    "AuthorizationHeaderMalformed": "the bucket lies in another region: set AWS_REGION",
    "NotImplemented": "the server cannot do this",
    "501": "the server cannot do this",
}


@dataclass(frozen=True)
class Object:
    """An object as it was read."""

    content: bytes
    version: str
    """Its ETag."""
    age_seconds: float
    """Since it was written, by the server's clock."""


class Seen:
    """What was asked a moment ago, for pages that ask the same many times; forgotten when this process writes."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._known: dict[object, tuple[float, Any]] = {}

    def of(self, what: object, ask: Callable[[], Any]) -> Any:
        """What `ask` gives, or gave a moment ago."""
        known = self._known
        told = known.get(what)
        if told is None or time.monotonic() - told[0] > self._seconds:
            told = time.monotonic(), ask()
            if not (isinstance(told[1], Object) and len(told[1].content) > LARGE_BYTES):
                if len(known) >= MOST_SEEN:
                    known.clear()
                known[what] = told
        return told[1]

    @contextmanager
    def changed(self) -> Iterator[None]:
        """Forgets all before and after something is written."""
        self._known = {}
        try:
            yield
        finally:
            self._known = {}


class Bucket:
    """A `Place` whose paths are keys. `patient` is for runs, which wait out a storage that is away for a while."""

    def __init__(self, name: str, *, endpoint: str | None = None, region: str | None = None, patient: bool = False):
        self.name = name
        self._seen = Seen(0.0 if patient else LOOK_SECONDS)
        tries = PATIENT_TRIES if patient else QUICK_TRIES
        endpoint = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
        session = boto3.session.Session()
        self._client: Any = session.client(
            "s3",
            endpoint_url=endpoint,
            region_name=region or os.environ.get("AWS_REGION") or session.region_name or REGION,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": tries},
                connect_timeout=CONNECT_SECONDS,
                read_timeout=ANSWER_SECONDS,
                max_pool_connections=32,
                s3={"addressing_style": "path" if endpoint else "auto"},
            ),
        )

    def write(self, path: str, content: bytes) -> None:
        """As `Place`."""
        with self._seen.changed(), _as_os_error():
            self._client.put_object(Bucket=self.name, Key=path, Body=content)

    def write_if(self, path: str, content: bytes, version: str | None) -> str | None:
        """Write where the object still has this `version` (None: where there is none); gives the new version.

        None where another was faster; also where a try of this very call was, whose answer was lost.
        """
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        try:
            with self._seen.changed(), _as_os_error(let=(*BEATEN, *ABSENT)):
                told = self._client.put_object(Bucket=self.name, Key=path, Body=content, **condition)
                return str(told["ETag"])
        except ClientError:
            return None

    def read(self, path: str, *, fresh: bool = False) -> bytes | None:
        """As `Place`."""
        found = self.get(path) if fresh else self.look(path)
        return None if found is None else found.content

    def look(self, path: str) -> Object | None:
        """As `get`, or what that gave a moment ago."""
        found: Object | None = self._seen.of(("object", path), lambda: self.get(path))
        return found

    def get(self, path: str) -> Object | None:
        """The object with its version and age, None where there is none."""
        try:
            with _as_os_error(let=ABSENT):
                told = self._client.get_object(Bucket=self.name, Key=path)
                content: bytes = told["Body"].read()
        except ClientError:
            return None
        now = told["ResponseMetadata"]["HTTPHeaders"].get("date")
        passed = (parsedate_to_datetime(now) if now else datetime.now(UTC)) - told["LastModified"]
        return Object(content, str(told["ETag"]), max(passed.total_seconds(), 0.0))

    def entries(self, path: str) -> Iterable[Entry]:
        """As `Place`."""
        found: list[Entry] = self._seen.of(("folder", path), lambda: list(self._listed(path)))
        return found

    def _listed(self, path: str) -> Iterator[Entry]:
        above = f"{path}/" if path else ""
        with _as_os_error():
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=above, Delimiter="/"
            ):
                for folder in page.get("CommonPrefixes", ()):
                    yield Entry(folder["Prefix"][len(above) : -1], True)
                for found in page.get("Contents", ()):
                    if name := found["Key"][len(above) :]:  # other programs mark folders by an empty object
                        yield Entry(name, False, found["Size"], _nanoseconds(found["LastModified"]))

    def entry(self, path: str) -> Entry | None:
        """As `Place`."""
        try:
            with _as_os_error(let=ABSENT):
                told = self._client.head_object(Bucket=self.name, Key=path)
        except ClientError:
            return None
        return Entry(posixpath.basename(path), False, told["ContentLength"], _nanoseconds(told["LastModified"]))

    def move(self, path: str, target: str) -> None:
        """As `Place`; there are both for a moment."""
        try:
            with self._seen.changed(), _as_os_error(let=ABSENT):
                source = {"Bucket": self.name, "Key": path}
                self._client.copy_object(Bucket=self.name, Key=target, CopySource=source)
        except ClientError as error:
            raise FileNotFoundError(path) from error
        self.delete(path)

    def delete(self, path: str) -> None:
        """As `Place`."""
        with self._seen.changed(), _as_os_error():
            self._client.delete_object(Bucket=self.name, Key=path)

    def delete_empty(self, path: str) -> None:
        """Nothing: a folder is there as long as something is in it."""


def bucket_of(uri: str, *, patient: bool = False) -> tuple[Bucket, str]:
    """The bucket of `s3://bucket/prefix` and the prefix. Raises StoreError.

    `?endpoint_override=HOST:PORT&scheme=http&region=NAME` may stand behind it, as pyarrow has it.
    """
    parts = urlsplit(uri)
    options = dict(parse_qsl(parts.query))
    unknown = ", ".join(sorted(options.keys() - {"endpoint_override", "scheme", "region"}))
    if parts.username or parts.password:
        raise StoreError("credentials have no place in --store, which pages and logs show; set AWS_ACCESS_KEY_ID and "
                         "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")  # fmt: skip
    if not parts.hostname or unknown:
        problem = f"'{unknown}' is not known" if unknown else "no bucket is named"
        raise StoreError(f"{uri} cannot be opened ({problem}); write s3://bucket/folder")
    endpoint = options.get("endpoint_override")
    if endpoint and "://" not in endpoint:
        endpoint = f"{options.get('scheme', 'https')}://{endpoint}"
    told = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
    try:
        bucket = _bucket(parts.netloc, endpoint, options.get("region"), patient, told)
    except (BotoCoreError, ValueError) as error:
        raise StoreError(f"{uri} cannot be opened ({_one_line(error)}); check the AWS_* variables") from error
    return bucket, parts.path.strip("/")


@lru_cache(maxsize=8)
def _bucket(
    name: str, endpoint: str | None, region: str | None, patient: bool, told: tuple[tuple[str, str], ...]
) -> Bucket:
    """One client for all who open the same bucket with the same variables; making one takes a tenth of a second."""
    return Bucket(name, endpoint=endpoint, region=region, patient=patient)


@contextmanager
def _as_os_error(let: Iterable[str] = ()) -> Iterator[None]:
    """Turns what the client raises into an OSError of one line; ClientErrors of the codes in `let` pass."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in let:
            raise
        reason = REASONS.get(code, _one_line(error))
        raise (PermissionError if code in ("403", "AccessDenied") else OSError)(reason) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise PermissionError(
            "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        ) from error
    except BotoCoreError as error:
        raise ConnectionError(_one_line(error)) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _nanoseconds(time: datetime) -> int:
    return int(time.timestamp()) * 10**9
