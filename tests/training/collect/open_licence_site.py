"""Stands for Wikimedia Commons and Openverse: search replies in their documented shapes, and the picture hosts."""

import gzip
from collections import Counter
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.training.collect.conftest import photo

AUTHOR = '<a href="//commons.wikimedia.org/wiki/User:Ann" title="User:Ann">Ann &amp; <b>Bob</b></a>'


class OpenLicenceSite:
    """`shelves`: words -> the names of the files that they find; `moods` are answered first."""

    def __init__(self) -> None:
        self.url = ""
        self.visits: Counter[str] = Counter()
        self.queries: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.shelves: dict[str, list[str]] = {}
        self.moods: list[Response] = []
        routes = [Route("/w/api.php", self.commons), Route("/v1/images/", self.openverse)]
        self.app = Starlette(routes=[*routes, Route("/file/{name}", self.file)])

    async def commons(self, request: Request) -> Response:
        words = self._asked(request, "gsrsearch").removeprefix("filetype:bitmap ")
        if self.moods:
            return self.moods.pop(0)
        pages = [self._page(place, name) for place, name in enumerate(self.shelves.get(words, []), 1)]
        # The real one sorts by page id; `index` holds the rank.
        return JSONResponse({"batchcomplete": True, **({"query": {"pages": pages[::-1]}} if pages else {})})

    def _page(self, place: int, name: str) -> dict[str, Any]:
        facts = {
            "Artist": {"value": AUTHOR, "source": "commons-desc-page"},
            "LicenseShortName": {"value": "CC BY-SA 4.0", "source": "commons-desc-page", "hidden": ""},
            "LicenseUrl": {"value": "https://creativecommons.org/licenses/by-sa/4.0", "hidden": ""},
        }
        info = {
            "size": 1353326,
            "width": 3746,
            "height": 2400,
            "thumburl": f"{self.url}/file/{name}",
            "url": f"{self.url}/file/original-{name}",
            "descriptionurl": f"https://commons.wikimedia.org/wiki/File:{name}",
            "extmetadata": {} if name == "unlicensed.jpg" else facts,
        }
        page = {"pageid": 90 - place, "ns": 6, "title": f"File:{name}", "index": place, "imageinfo": [info]}
        return {key: page[key] for key in page if key != "imageinfo"} if name == "empty.jpg" else page

    async def openverse(self, request: Request) -> Response:
        words = self._asked(request, "q")
        if self.moods:
            return self.moods.pop(0)
        results = [self._result(name) for name in self.shelves.get(words, [])]
        return JSONResponse({"result_count": len(results), "page_count": 1, "page_size": 10, "results": results})

    def _result(self, name: str) -> dict[str, Any]:
        return {
            "id": "4bc43a04-ef46-4544-a0c1-63c63f56e276",
            "title": "Tree",
            "foreign_landing_url": f"https://example.org/photos/{name}",
            "url": f"{self.url}/file/{name}",
            "creator": None if name == "anonymous.jpg" else "Ann",
            "license": "cc0" if name == "anonymous.jpg" else "by-sa",
            "license_version": "1.0" if name == "anonymous.jpg" else "2.0",
            "license_url": "https://creativecommons.org/licenses/by-sa/2.0/",
            "mature": False,
            "height": 667,
            "width": 1000,
        }

    async def file(self, request: Request) -> Response:
        name = request.path_params["name"]
        self.visits[name] += 1
        match name.partition(".")[0].split("-"):
            case ["photo", number]:
                return Response(photo(int(number)), media_type="image/jpeg")
            case ["half", number]:
                return Response(photo(int(number), (240, 160)), media_type="image/jpeg")
            case ["tall", number]:
                return Response(photo(int(number), (300, 400), "PNG"), media_type="image/jpeg")
            case ["moved", number]:
                return RedirectResponse(f"/file/photo-{number}.jpg")
            case ["small"]:
                return Response(photo(1, (150, 400)))
            case ["page"]:
                return Response("<html>Please log in</html>", media_type="image/jpeg")
            case ["cut"]:
                return Response(photo(2)[:2000], media_type="image/jpeg")
            case ["huge"]:
                return Response(gzip.compress(b"\0" * 30_000_000), headers={"Content-Encoding": "gzip"})
            case ["status", status]:
                return Response("no", int(status))
            case _:
                return Response("gone", 404)

    def _asked(self, request: Request, name: str) -> str:
        self.queries.append(dict(request.query_params))
        self.headers.append(dict(request.headers))
        return request.query_params[name]
