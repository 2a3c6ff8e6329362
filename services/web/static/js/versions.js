/** The table of versions. Rows stay the same elements, so that focus and what is unfolded outlive every news. */

import { byId, part, stamp } from "./dom.js";
import { bytesInWords, count, finePercent, whole } from "./numbers.js";
import { SkippedFiles } from "./skipped.js";
import { ago } from "./times.js";
import { sentence } from "./words.js";

const MADE = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });
const NONE = "–";

export class VersionTable {
  #table = byId("versions").querySelector("table");
  #rows = new Map(); // by version
  #onPublish;

  /** @param onPublish called with the version that a person wants to publish */
  constructor(onPublish) {
    this.#onPublish = onPublish;
  }

  /** @param listed the reply of GET /v1/index/versions */
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

function fill(row, version, { open, current }) {
  const made = version.created && ago(version.created);
  row.classList.toggle("unknown", !made);
  say(row, "age", made ? sentence(made) : "Damaged");
  part(row, "age").title = version.created ? MADE.format(new Date(version.created)) : "";
  say(row, "size", shown(version.size, whole));
  say(row, "kind", version.kind ?? NONE);
  say(row, "speed", shown(version.queries_per_second, (speed) => whole(Math.round(speed))));
  say(row, "memory", shown(version.memory_bytes, bytesInWords));
  fillRecall(row, version.recall);
  fillSkipped(row, version.skipped);
  fillBadge(row, version, { open, current });
  say(row, "error", version.error ?? "");
  part(row, "error-row").hidden = !version.error;
  const publish = part(row, "publish");
  publish.hidden = version.current || Boolean(version.error);
  publish.setAttribute("aria-label", `Publish the version made ${made}, ${version.version}`);
}

function fillRecall(row, recall) {
  say(row, "recall", shown(recall, finePercent));
  part(row, "share").setAttribute("width", 100 * (recall ?? 0));
  part(row, "bar").classList.toggle("unseen", recall === null);
}

function fillSkipped(row, skipped) {
  say(row, "skipped-words", count(skipped ?? 0, "file", "files"));
  say(row, "skipped-none", skipped ? "" : shown(skipped, () => "none"));
  part(row, "skipped").hidden = !skipped;
}

/** For the moment of a switch, or when the published version is refused, searches come from another one. */
function fillBadge(row, version, { open, current }) {
  const isSearched = version.version === open;
  const both = version.current ? "Current" : "Searched for now";
  part(row, "badge").hidden = !version.current && !isSearched;
  say(row, "badge", version.current && !isSearched && open !== current ? "Published, not open" : both);
}

const shown = (value, inWords) => (value === null || value === undefined ? NONE : inWords(value));

function say(row, name, text) {
  const element = part(row, name);
  if (element.textContent !== text) element.textContent = text;
}
