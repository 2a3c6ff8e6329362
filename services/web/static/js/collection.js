/** The page of the collection: refreshes itself, more often while a build runs, and switches versions for operators. */

import { postJSON, readJSON } from "./api.js";
import { announce, byId, part, watchConnection } from "./dom.js";
import { BuildPanel, VersionTable } from "./versions.js";
import { ago, count, whole } from "./wording.js";

const RUNNING_MS = 1_000;
const IDLE_MS = 4_000;
const KEY = "operator-key"; // in the tab's storage, until the tab is closed
const WRONG_KEY = 401;

/** Asks an operator to confirm a switch and, once per tab, for the key. */
class SwitchDialog {
  #dialog = byId("switch");
  #field = byId("operator-key");
  #problem = byId("switch-problem");
  #act = null;
  #verb = "";
  #isBusy = false;

  constructor() {
    byId("switch-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    part(this.#dialog, "cancel").addEventListener("click", () => this.#dialog.close());
    part(this.#dialog, "forget").addEventListener("click", () => {
      sessionStorage.removeItem(KEY);
      this.#showKey();
    });
  }

  /**
   * @param {{title: string, words: string, verb: string}} question
   * @param {(key: string) => Promise<void>} act makes the switch; if it fails, the dialog stays open and says why
   */
  ask({ title, words, verb }, act) {
    this.#act = act;
    this.#verb = verb;
    byId("switch-title").textContent = title;
    part(this.#dialog, "words").textContent = words;
    this.#problem.textContent = "";
    this.#field.value = "";
    this.#busy(false);
    this.#dialog.showModal();
    this.#showKey();
  }

  async #submit() {
    if (this.#isBusy) return;
    const key = sessionStorage.getItem(KEY) ?? this.#field.value.trim();
    if (!key) {
      this.#problem.textContent = "Enter the key first.";
      this.#field.focus();
      return;
    }
    this.#problem.textContent = "";
    this.#busy(true);
    try {
      await this.#act(key);
      sessionStorage.setItem(KEY, key);
      this.#dialog.close();
    } catch (failure) {
      this.#fail(failure, key);
    } finally {
      this.#busy(false);
    }
  }

  /** Keeps the key unless the key was wrong. */
  #fail(failure, key) {
    if (failure.status === WRONG_KEY) sessionStorage.removeItem(KEY);
    else if (failure.status >= 404) sessionStorage.setItem(KEY, key);
    this.#problem.textContent = failure.status === WRONG_KEY ? "Wrong key." : failure.message;
    this.#showKey();
  }

  #showKey() {
    const known = sessionStorage.getItem(KEY) !== null;
    part(this.#dialog, "key").hidden = known;
    part(this.#dialog, "known").hidden = !known;
    if (known) part(this.#dialog, "go").focus();
    else this.#field.select();
  }

  #busy(busy) {
    this.#isBusy = busy;
    part(this.#dialog, "go").setAttribute("aria-disabled", String(busy)); // `disabled` would take the focus away
    part(this.#dialog, "go").textContent = busy ? "Verifying…" : this.#verb;
  }
}

const panel = new BuildPanel();
const dialog = new SwitchDialog();
const table = new VersionTable(askToPublish);
let listed = null;
let timer = 0;
let latest = 0; // number of the latest refresh; replies to earlier ones are dropped

byId("rollback").addEventListener("click", askToRollBack);
byId("switch").addEventListener("close", () => {
  if (document.activeElement === document.body) byId("versions-title").focus(); // the button that opened it is gone
});
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
addEventListener("online", refresh);
watchConnection();
refresh();

async function refresh() {
  const mine = (latest += 1);
  clearTimeout(timer);
  let isRunning = false;
  try {
    const [versions, build, index] = await Promise.all([
      readJSON("/v1/index/versions"),
      readJSON("/v1/index/build"),
      readJSON("/v1/index").catch(() => null), // no version is open
    ]);
    if (mine !== latest) return;
    isRunning = build.running !== null;
    showVersions(versions, index);
    panel.show(build);
    showTrouble(versions.refusal);
  } catch (failure) {
    if (mine !== latest) return;
    if (!listed) byId("summary").textContent = "The state of the collection is unknown.";
    showTrouble(failure.message);
  }
  if (!document.hidden) timer = setTimeout(refresh, isRunning ? RUNNING_MS : IDLE_MS);
}

function showVersions(versions, index) {
  listed = versions;
  table.show(versions);
  byId("summary").textContent = summary(versions, index);
  byId("rollback").hidden = versions.previous === null;
}

/** @param index as in GET /v1/index, or null if no version is open */
function summary({ open, versions }, index) {
  const opened = versions.find(({ version }) => version === open);
  if (!opened?.created) return versions.length ? "No version is open for searching." : "There is nothing to search yet.";
  const changed = index?.version.startsWith(`${open}+`) ? index : null;
  const pictures = count((changed ?? opened).size, "picture", "pictures");
  const since = changed ? `, with ${whole(changed.added)} added and ${whole(changed.removed)} removed since` : "";
  return `${pictures} can be searched, in the version built ${ago(opened.created)}${since}.`;
}

/** @param {string|null} message */
function showTrouble(message) {
  const element = byId("trouble");
  if (element.textContent !== (message ?? "")) element.textContent = message ?? "";
  element.hidden = !message;
}

function askToPublish(version) {
  const question = {
    title: "Publish this version?",
    words: `Version ${version}${facts(version)} is verified first. Searches continue meanwhile.`,
    verb: "Publish",
  };
  dialog.ask(question, (key) => change("/v1/index/publish", { version }, key));
}

function askToRollBack() {
  const question = {
    title: "Roll back one version?",
    words: `Version ${listed.previous}${facts(listed.previous)} is verified first. Searches then use it.`,
    verb: "Roll back",
  };
  dialog.ask(question, (key) => change("/v1/index/rollback", {}, key));
}

function facts(name) {
  const { size, created } = listed.versions.find(({ version }) => version === name) ?? {};
  return created ? `, ${count(size, "picture", "pictures")}, built ${ago(created)},` : "";
}

async function change(path, body, key) {
  const { version } = await postJSON(path, body, undefined, key);
  await refresh();
  announce(`Version ${version} is published.`);
}
