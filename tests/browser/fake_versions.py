"""The versions of a fake index: they are listed, switched with a key, and built."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fastapi import FastAPI, Request

from imagetext.wire.errors import CannotPublish, Unauthorized
from imagetext.wire.index import (
    BuildProgress,
    BuildStatus,
    IndexInfo,
    IndexVersion,
    IndexVersions,
    Published,
    PublishRequest,
    SkippedPage,
    SkippedPath,
)

KEY = "open sesame"
NEW, MIDDLE, OLD = "20260103T030405Z-3f2a1c", "20260102T030405Z-77b0e1", "20251220T101500Z-0c9d24"


def _version(name: str, size: int, age: timedelta, **measured: object) -> IndexVersion:
    created = datetime.now(UTC) - age
    facts = {"kind": "flat", "encoder": "compact-clip", "format": 2, "skipped": 0, "recall": 1.0}
    return IndexVersion.model_validate(
        {"version": name, "current": False, "size": size, "created": created, **facts, **measured}
    )


def _versions() -> list[IndexVersion]:
    approximate = {"kind": "ivfpq", "recall": 0.987, "queries_per_second": 826.4, "memory_bytes": 8_790_000}
    exact = {"queries_per_second": 66.3, "memory_bytes": 205_000_000}
    return [
        _version(NEW, 100_000, timedelta(hours=3), skipped=130, **approximate),
        _version(MIDDLE, 99_120, timedelta(days=1, hours=2), skipped=2, **exact),
        _version(OLD, 12_480, timedelta(days=14), **exact),
    ]


@dataclass
class FakeVersions:
    """`current` is published and open, `damaged` are refused, `changed` is the current one with its changes since."""

    listed: list[IndexVersion] = field(default_factory=_versions)
    current: str | None = NEW
    damaged: set[str] = field(default_factory=set)
    build: BuildStatus = field(default_factory=BuildStatus)
    changed: IndexInfo | None = None

    def overview(self) -> IndexVersions:
        older = [each.version for each in self.listed if self.current is not None and each.version < self.current]
        return IndexVersions(
            current=self.current,
            previous=older[0] if older else None,
            open=self.current,
            refusal=None,
            versions=[each.model_copy(update={"current": each.version == self.current}) for each in self.listed],
        )

    def publish(self, version: str) -> Published:
        if version in self.damaged:
            raise CannotPublish(f"vectors.npy of index version {version} is damaged. The current version stays.")
        before, self.current = self.current, version
        return Published(version=version, before=before)

    def encoding(self, done: int, total: int) -> None:
        """From now on a build is running and has encoded `done` pictures."""
        moment = datetime.now(UTC)
        self.build = BuildStatus(
            running=BuildProgress(
                stage="encoding",
                done=done,
                total=total,
                rate=215.4,
                eta_s=(total - done) / 215.4,
                started=moment,
                updated=moment,
            )
        )


def add_versions(app: FastAPI, versions: FakeVersions) -> None:
    @app.get("/v1/index/versions")
    async def listed() -> IndexVersions:
        return versions.overview()

    @app.get("/v1/index/versions/{version}/skipped")
    async def skipped(version: str, offset: int, limit: int) -> SkippedPage:
        [total] = [each.skipped or 0 for each in versions.listed if each.version == version]
        reasons = ("The file is empty.", "This is not a picture, or not of a format that is read here.")
        files = [
            SkippedPath(path=f"2024/summer/IMG_{number:04}.jpg", reason=reasons[number % 2]) for number in range(total)
        ]
        return SkippedPage(version=version, total=total, offset=offset, skipped=files[offset : offset + limit])

    @app.get("/v1/index/build")
    async def build() -> BuildStatus:
        return versions.build

    @app.post("/v1/index/publish")
    async def publish(request: Request, body: PublishRequest) -> Published:
        _require_key(request)
        return versions.publish(body.version)

    @app.post("/v1/index/rollback")
    async def roll_back(request: Request) -> Published:
        _require_key(request)
        return versions.publish(versions.overview().previous or "")


def _require_key(request: Request) -> None:
    if request.headers.get("Authorization") != f"Bearer {KEY}":
        raise Unauthorized("The operator's key is missing or wrong.")
