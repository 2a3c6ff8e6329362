/** The footer: what the service holds right now. */

import { readJSON } from "./api.js";
import { byId, part } from "./dom.js";
import { count } from "./numbers.js";

const MADE = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const LIST = new Intl.ListFormat("en");

/** Shows the status now and whenever the person comes back. @param onModels gets the list of models */
export function watchStatus(onModels) {
  const refresh = () => {
    showIndex();
    showModels(onModels);
  };
  addEventListener("online", refresh);
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  refresh();
}

export function watchConnection() {
  const show = () => (byId("offline").hidden = navigator.onLine);
  addEventListener("online", show);
  addEventListener("offline", show);
  show();
}

async function showIndex() {
  try {
    const index = await readJSON("/v1/index");
    const made = index.created ? `, made ${MADE.format(new Date(index.created))}` : "";
    const pictures = count(index.size, "picture", "pictures");
    say("index", `${pictures} in index ${index.version}${made}`);
    byId("find-lead").textContent = `Search ${pictures} in plain words, or with a picture of your own.`;
  } catch (failure) {
    say("index", failure.message);
  }
}

async function showModels(onModels) {
  try {
    const { models } = await readJSON("/v1/models");
    say("models", [by("Captions", models, "captioner"), by("Search", models, "encoder")].filter(Boolean).join(". "));
    onModels(models);
  } catch {
    say("models", ""); // the line before it says why
  }
}

function by(what, models, kind) {
  const names = models.filter((model) => model.kind === kind).map(({ name }) => name);
  return names.length ? `${what} by ${LIST.format(names)}` : "";
}

function say(name, text) {
  part(byId("status"), name).textContent = text;
}
