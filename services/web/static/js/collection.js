/** The page of the collection: asks again and again what there is, more often while a build runs. */

import { postJSON, readJSON } from "./api.js";
import { BuildPanel } from "./build.js";
import { announce, byId } from "./dom.js";
import { count, whole } from "./numbers.js";
import { SwitchDialog } from "./operator.js";
import { watchConnection } from "./status.js";
import { ago } from "./times.js";
import { VersionTable } from "./versions.js";

const RUNNING_MS = 1_000;
const IDLE_MS = 4_000;

const panel = new BuildPanel();
const dialog = new SwitchDialog();
const table = new VersionTable(askToPublish);
let listed = null;
let timer = 0;
let turn = 0; // of asking: an answer to an earlier one comes too late

byId("rollback").addEventListener("click", askToRollBack);
byId("switch").addEventListener("close", () => {
  if (document.activeElement === document.body) byId("versions-title").focus(); // its button has gone
});
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
addEventListener("online", look);
watchConnection();
look();

async function look() {
  const mine = (turn += 1);
  clearTimeout(timer);
  let isRunning = false;
  try {
    const [versions, build, index] = await Promise.all([
      readJSON("/v1/index/versions"),
      readJSON("/v1/index/build"),
      readJSON("/v1/index").catch(() => null), // none is open
    ]);
    if (mine !== turn) return;
    isRunning = build.running !== null;
    showVersions(versions, index);
    panel.show(build);
    showTrouble(versions.refusal);
  } catch (failure) {
    if (mine !== turn) return;
    if (!listed) byId("summary").textContent = "What it holds is not known.";
    showTrouble(failure.message);
  }
  if (!document.hidden) timer = setTimeout(look, isRunning ? RUNNING_MS : IDLE_MS);
}

function showVersions(versions, index) {
  listed = versions;
  table.show(versions);
  byId("summary").textContent = summary(versions, index);
  byId("rollback").hidden = versions.previous === null;
}

/** @param index what is searched: the open version with the changes since, or null */
function summary({ open, versions }, index) {
  const searched = versions.find(({ version }) => version === open);
  if (!searched?.created) return versions.length ? "No version is open for searching." : "Nothing can be found yet.";
  const changed = index?.version.startsWith(`${open}+`) ? index : null;
  const pictures = count((changed ?? searched).size, "picture", "pictures");
  const since = changed ? `, with ${whole(changed.added)} added and ${whole(changed.removed)} removed since` : "";
  return `${pictures} can be found, in the version made ${ago(searched.created)}${since}.`;
}

/** @param {string|null} sentence */
function showTrouble(sentence) {
  const element = byId("trouble");
  if (element.textContent !== (sentence ?? "")) element.textContent = sentence ?? "";
  element.hidden = !sentence;
}

function askToPublish(version) {
  const question = {
    title: "Publish this version?",
    words: `Version ${version}${told(version)} is checked byte by byte first. Searches go on meanwhile.`,
    verb: "Publish",
  };
  dialog.ask(question, (key) => change("/v1/index/publish", { version }, key));
}

function askToRollBack() {
  const question = {
    title: "Go back one version?",
    words: `Searches will come from version ${listed.previous}${told(listed.previous)}. It is checked byte by byte first.`,
    verb: "Roll back",
  };
  dialog.ask(question, (key) => change("/v1/index/rollback", {}, key));
}

function told(name) {
  const { size, created } = listed.versions.find(({ version }) => version === name) ?? {};
  return created ? `, ${count(size, "picture", "pictures")}, made ${ago(created)},` : "";
}

async function change(path, body, key) {
  const { version } = await postJSON(path, body, undefined, key);
  await look();
  announce(`Version ${version} is published.`);
}
