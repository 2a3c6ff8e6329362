/** Entry point of the page. The address holds the state; tabs and links change the address. */

import { Address, QueryPictures, searchAddress } from "./address.js";
import { readJSON } from "./api.js";
import { CaptionTab } from "./caption.js";
import { byId, indexAfter, part, watchConnection } from "./dom.js";
import { FindTab } from "./find.js";
import { acceptDrops, acceptPastes } from "./intake.js";
import { Viewer } from "./viewer.js";
import { count } from "./wording.js";

const NAME = "Image and Text";
const BUILT = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const LIST = new Intl.ListFormat("en");

/** ARIA tabs: one tab stop; the arrow keys, Home and End move and select. */
class Tabs {
  #tabs;

  /** @param onSelect called with "caption" or "find" when a person picks a tab */
  constructor(list, onSelect) {
    this.#tabs = [...list.querySelectorAll('[role="tab"]')];
    list.addEventListener("click", (event) => {
      const tab = event.target.closest('[role="tab"]');
      if (tab) onSelect(panelName(tab));
    });
    list.addEventListener("keydown", (event) => {
      const tab = this.#target(event.key);
      if (!tab) return;
      event.preventDefault();
      tab.focus();
      onSelect(panelName(tab));
    });
  }

  show(name) {
    for (const tab of this.#tabs) {
      const selected = panelName(tab) === name;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
      byId(tab.getAttribute("aria-controls")).hidden = !selected;
    }
  }

  #target(key) {
    const last = this.#tabs.length - 1;
    const index = indexAfter(key, this.#tabs.indexOf(document.activeElement), last);
    return index === null ? null : this.#tabs.at(index > last ? 0 : index);
  }
}

const panelName = (tab) => tab.id.replace("tab-", "");

const pictures = new QueryPictures();
const address = new Address(show);
const go = (state) => address.go(state);
const tabs = new Tabs(byId("tabs"), (name) => go(name === "find" ? find.state : { tab: "caption" }));
const caption = new CaptionTab(pictures);
const find = new FindTab({ pictures, go, open: (hits, index) => viewer.open(hits, index) });
const viewer = new Viewer({
  onClose: (index) => find.focus(index),
  onLike: (hit) => find.search({ like: hit.id }),
  onLabel: (text) => find.search({ text }),
  addressOf: (text) => searchAddress({ text }),
  onCaption: (hit) => {
    go({ tab: "caption" });
    caption.addHit(hit);
  },
});

function show(state) {
  viewer.close();
  tabs.show(state.tab);
  if (state.tab === "find") find.show(state);
  document.title = [state.text, state.tab === "find" ? "Find" : "Caption", NAME].filter(Boolean).join(" · ");
}

const isFinding = () => !byId("panel-find").hidden;
const addFiles = (files) => (isFinding() ? find.searchFile(files[0]) : caption.addFiles(files));

acceptPastes(addFiles);
acceptDrops({
  onFiles: addFiles,
  onAddress: (url) => {
    go({ tab: "caption" });
    caption.addAddress(url);
  },
  invitation: () => (isFinding() ? "Drop to find similar pictures" : "Drop to caption"),
});
if (/Mac|iPhone|iPad/.test(navigator.userAgent)) part(document, "paste-keys").textContent = "⌘V";
watchConnection();
addEventListener("online", refreshFooter);
document.addEventListener("visibilitychange", () => document.hidden || refreshFooter());
refreshFooter();
address.start();

function refreshFooter() {
  showIndex();
  showModels();
}

async function showIndex() {
  try {
    const index = await readJSON("/v1/index");
    const built = index.created ? `, built ${BUILT.format(new Date(index.created))}` : "";
    const size = count(index.size, "picture", "pictures");
    showStatus("index", `${size} in index ${index.version}${built}`);
    byId("find-lead").textContent = `Search ${size} in plain words, or with a picture of your own.`;
  } catch (failure) {
    showStatus("index", failure.message);
  }
}

async function showModels() {
  try {
    const { models } = await readJSON("/v1/models");
    const lines = [namesOf("Captions", models, "captioner"), namesOf("Search", models, "encoder")];
    showStatus("models", lines.filter(Boolean).join(". "));
    caption.offerModels(models);
  } catch {
    showStatus("models", ""); // showIndex says what is wrong
  }
}

function namesOf(task, models, kind) {
  const names = models.filter((model) => model.kind === kind).map(({ name }) => name);
  return names.length ? `${task} by ${LIST.format(names)}` : "";
}

function showStatus(name, text) {
  part(byId("status"), name).textContent = text;
}
