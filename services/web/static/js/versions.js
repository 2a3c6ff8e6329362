/** What the page of the collection shows: the running build, and the table of versions with their skipped files. */

import { readJSON } from "./api.js";
import { announce, byId, part, stamp } from "./dom.js";
import { ago, bytesInWords, capitalized, count, duration, finePercent, whole } from "./wording.js";

const BUILT = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });
const UNKNOWN = "–";
const SKIPPED_PAGE = 100;
const STAGES = {
  preparing: "Reading the existing index",
  encoding: "Encoding pictures",
  writing: "Writing the version",
  tuning: "Choosing and tuning the kind of index",
  verifying: "Verifying the files",
  publishing: "Publishing",
};

/** The panel of the running build, or of the last one if it stopped. */
export class BuildPanel {
  #panel = byId("build");
  #stage = null;

  /** @param {{running: object|null, stopped: object|null}} status */
  show({ running, stopped }) {
    this.#panel.hidden = !(running || stopped);
    part(this.#panel, "bar").hidden = !running;
    if (running) this.#showRunning(running);
    else if (stopped) this.#showStopped(stopped);
    this.#announceStage(running, stopped);
  }

  #showRunning(build) {
    this.#say("title", "A build is running");
    this.#say("stage", STAGES[build.stage]);
    this.#say("numbers", progress(build).join(" · "));
    const bar = part(this.#panel, "bar");
    if (build.total) bar.max = build.total;
    if (build.total) bar.value = build.done;
    else bar.removeAttribute("value"); // indeterminate
  }

  #showStopped(build) {
    this.#say("title", "The last build stopped");
    this.#say("stage", build.error ?? "Its process ended. Run the same command again to resume.");
    this.#say("numbers", [STAGES[build.stage], ...progress(build), ago(build.updated)].join(" · "));
  }

  /** Tells screen readers each stage, but not the numbers, which change every second. */
  #announceStage(running, stopped) {
    const stage = running?.stage ?? null;
    if (stage === this.#stage) return;
    if (running) announce(`A build is running: ${STAGES[stage]}.`);
    else announce(stopped ? "The build stopped." : "The build has finished.");
    this.#stage = stage;
  }

  #say(name, text) {
    part(this.#panel, name).textContent = text;
  }
}

/** The table of versions. Rows are reused, so that focus and unfolded lists survive every refresh. */
export class VersionTable {
  #table = byId("versions").querySelector("table");
  #rows = new Map(); // by version
  #onPublish;

  /** @param onPublish called with the version to publish */
  constructor(onPublish) {
    this.#onPublish = onPublish;
  }

  /** @param listed as in GET /v1/index/versions */
  show(listed) {
    byId("versions").hidden = !listed.versions.length;
    byId("empty").hidden = listed.versions.length > 0;
    const names = listed.versions.map(({ version }) => version);
    for (const [name, row] of this.#rows) {
      if (!names.includes(name)) this.#remove(name, row);
    }
    let before = this.#table.tHead;
    for (const version of listed.versions) {
      const row = this.#rowOf(version.version);
      if (before.nextElementSibling !== row) before.after(row);
      fill(row, version, listed);
      before = row;
    }
  }

  #remove(name, row) {
    if (row.contains(document.activeElement)) byId("versions-title").focus();
    row.remove();
    this.#rows.delete(name);
  }

  #rowOf(name) {
    const known = this.#rows.get(name);
    if (known) return known;
    const row = stamp("version-template");
    part(row, "name").textContent = name;
    part(row, "publish").addEventListener("click", () => this.#onPublish(name));
    new SkippedFiles(row, name);
    this.#rows.set(name, row);
    return row;
  }
}

/** The files that a version skipped: loaded when first unfolded, page by page. */
class SkippedFiles {
  #row;
  #version;
  #isLoaded = false;

  /** @param row the element of the version */
  constructor(row, version) {
    this.#row = row;
    this.#version = version;
    const button = part(row, "skipped");
    part(row, "skipped-row").id = `skipped-${version}`;
    button.setAttribute("aria-controls", `skipped-${version}`);
    button.addEventListener("click", () => this.#toggle(button));
    part(row, "more").addEventListener("click", () => this.#load());
  }

  #toggle(button) {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    part(this.#row, "skipped-row").hidden = !open;
    if (open && !this.#isLoaded) this.#load();
  }

  async #load() {
    const list = part(this.#row, "files");
    this.#isLoaded = true;
    this.#problem("");
    try {
      const offset = list.childElementCount;
      const page = await readJSON(`/v1/index/versions/${this.#version}/skipped?offset=${offset}&limit=${SKIPPED_PAGE}`);
      list.append(...page.skipped.map(fileElement));
      list.tabIndex = list.scrollHeight > list.clientHeight ? 0 : -1; // lets the keyboard scroll it
      part(this.#row, "more").hidden = list.childElementCount >= page.total;
      announce(`${count(page.skipped.length, "skipped file", "skipped files")}.`);
    } catch (failure) {
      this.#isLoaded = list.childElementCount > 0;
      this.#problem(failure.message);
    }
  }

  #problem(text) {
    part(this.#row, "skipped-problem").textContent = text;
  }
}

function fill(row, version, { open, current }) {
  const built = version.created && ago(version.created);
  row.classList.toggle("unknown", !built);
  setText(row, "age", built ? capitalized(built) : "Damaged");
  part(row, "age").title = version.created ? BUILT.format(new Date(version.created)) : "";
  setText(row, "size", shown(version.size, whole));
  setText(row, "kind", version.kind ?? UNKNOWN);
  setText(row, "speed", shown(version.queries_per_second, (speed) => whole(Math.round(speed))));
  setText(row, "memory", shown(version.memory_bytes, bytesInWords));
  fillRecall(row, version.recall);
  fillSkipped(row, version.skipped);
  fillBadge(row, version, { open, current });
  setText(row, "error", version.error ?? "");
  part(row, "error-row").hidden = !version.error;
  const publish = part(row, "publish");
  publish.hidden = version.current || Boolean(version.error);
  publish.setAttribute("aria-label", `Publish the version built ${built}, ${version.version}`);
}

function fillRecall(row, recall) {
  setText(row, "recall", shown(recall, finePercent));
  part(row, "share").setAttribute("width", 100 * (recall ?? 0));
  part(row, "bar").classList.toggle("unseen", recall === null);
}

function fillSkipped(row, skipped) {
  setText(row, "skipped-words", count(skipped ?? 0, "file", "files"));
  setText(row, "skipped-none", skipped ? "" : shown(skipped, () => "none"));
  part(row, "skipped").hidden = !skipped;
}

/** During a switch, and when the published version is refused, searches use a version that is not the current one. */
function fillBadge(row, version, { open, current }) {
  const isOpen = version.version === open;
  const usual = version.current ? "Current" : "In use for now";
  part(row, "badge").hidden = !version.current && !isOpen;
  setText(row, "badge", version.current && !isOpen && open !== current ? "Published, not open" : usual);
}

const shown = (value, inWords) => (value === null || value === undefined ? UNKNOWN : inWords(value));

function setText(row, name, text) {
  const element = part(row, name);
  if (element.textContent !== text) element.textContent = text;
}

function progress({ done, total, rate, eta_s: left }) {
  return [
    total && `${whole(done)} of ${whole(total)}`,
    rate && `${whole(Math.max(1, Math.round(rate)))} per second`,
    left && `about ${duration(left)} left`,
  ].filter(Boolean);
}

function fileElement({ path, reason }) {
  const element = stamp("skipped-template");
  part(element, "path").textContent = path;
  part(element, "reason").textContent = reason;
  return element;
}
