"""A site shaped like an image search: results that come late, lazy thumbnails, a preview that fills late, a consent
dialog, source pages with licences; and broken in the ways in which such pages break."""

from collections import Counter

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from tests.training.collect.conftest import photo

# What each result is, in the order of the page.
RESULTS = ("good 1", "twin of 1", "no thumbnail", "no preview", "broken picture", "no licence", "good 2")

PAGE = """<!doctype html><meta charset="utf-8"><title>Pictures</title>
<style>
  .tall { height: 900px }
  #preview { position: fixed; inset: 0 0 auto auto; background: #fff }
</style>
<div id="consent" role="dialog">May we? <button>Agree</button></div>
<div id="results"></div><div class="tall"></div>
<aside id="preview" hidden>
  <img class="large" alt=""> <a class="where">Source</a> <p>by <b class="who"></b></p>
  <button class="close">Close</button>
</aside>
<script>
  const kinds = %(kinds)s;
  const preview = document.querySelector("#preview");
  const late = (action) => setTimeout(action, 300);

  function open(place, kind) {
    if (kind === "no preview") return;
    const number = place === 1 ? 0 : place;
    preview.hidden = false;
    const large = preview.querySelector(".large");
    large.src = `/thumb/${place}.jpg`;  // as real pages do, until the large one is there
    late(() => { large.src = kind === "broken picture" ? "/gone.jpg" : `/large/${number}.jpg`; });
    preview.querySelector(".where").href = `/about/${number}`;
    preview.querySelector(".who").textContent = `Author ${number}`;
  }

  function fill() {
    kinds.forEach((kind, place) => {
      const result = document.createElement("div");
      result.className = "result tall";
      const picture = document.createElement("img");
      picture.src = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
      new IntersectionObserver(([entry], watcher) => {
        if (!entry.isIntersecting) return;
        watcher.disconnect();
        late(() => { picture.src = kind === "no thumbnail" ? "/gone.jpg" : `/thumb/${place}.jpg`; });
      }).observe(picture);
      const link = document.createElement("a");
      link.href = "#";
      link.append(picture);
      link.addEventListener("click", (event) => { event.preventDefault(); open(place, kind); });
      result.append(link);
      document.querySelector("#results").append(result);
    });
    if (!kinds.length) document.querySelector("#results").innerHTML = "<p class='none'>Nothing found</p>";
  }

  document.querySelector("#consent button").addEventListener("click", () => {
    document.querySelector("#consent").remove();
    late(fill);
  });
  document.querySelector(".close").addEventListener("click", () => late(() => { preview.hidden = true; }));
</script>"""

ABOUT = """<!doctype html><meta charset="utf-8"><title>About</title><h1>Picture %(number)s</h1>
<table><tr><td id="author">Author</td><td><a href="/people">Photographer   %(number)s</a></td></tr></table>
<span class="licence" style="display: none">CC BY-SA 4.0</span>
<span class="licence-address" style="display: none">https://creativecommons.org/licenses/by-sa/4.0</span>"""

PAGE_FILE = """
name = "Test search"
address = "{url}/search?q={{words}}"
terms = "{url}/terms"
permission = "The site is ours."
patience_s = 300
pause_s = 0
most = 10
consent = "#consent button"

[result]
each = ".result"
thumbnail = "img"
nothing = ".none"

[preview]
open = "a"
shown = "#preview"
close = ".close"

[picture]
address = "img.large@src"
source = "//a[@class='where']@href"
author = ".who"

[source]
author = "#author + td"
licence = ".licence"
licence_url = ".licence-address"
"""


class SearchSite:
    def __init__(self) -> None:
        self.visits: Counter[str] = Counter()
        self.robots = ""
        self.results: tuple[str, ...] = RESULTS
        self.app = Starlette(routes=[Route("/{page:path}", self.serve)])

    async def serve(self, request: Request) -> Response:
        page = request.path_params["page"]
        self.visits[page + (f"?{request.url.query}" if request.url.query else "")] += 1
        match page.split("/"):
            case ["robots.txt"]:
                return PlainTextResponse(self.robots)
            case ["search"]:
                kinds = [] if "nothing" in request.query_params["q"] else list(self.results)
                return HTMLResponse(PAGE % {"kinds": kinds})
            case ["changed"]:
                return HTMLResponse("<h1>A new design</h1>")
            case ["thumb", name]:
                return Response(photo(_number(name), (120, 80)), media_type="image/jpeg")
            case ["large", name]:
                return Response(photo(_number(name)), media_type="image/jpeg")
            case ["about", number] if number != str(RESULTS.index("no licence")):
                return HTMLResponse(ABOUT % {"number": number})
            case _:
                return HTMLResponse("<h1>Nothing here</h1>", 404)


def _number(name: str) -> int:
    return int(name.removesuffix(".jpg"))
