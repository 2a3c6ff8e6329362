/** The Caption tab: pictures come in, stand in line, are sent, and become cards with words. */

import { COUNTS, format } from "./address.js";
import { postJSON, readPicture, sendForm } from "./api.js";
import { Card } from "./card.js";
import { copyFrom } from "./copy.js";
import { announce, byId } from "./dom.js";
import { Failure, failureOf } from "./failure.js";
import { nameOf } from "./hit.js";
import { choose } from "./intake.js";
import { insist, Line } from "./patience.js";
import { refusalOf } from "./refusal.js";

const PATH = "/v1/captions";
const LABELS = "/v1/labels";
const AT_ONCE = 2;
const CAPTIONS = 3;

export class CaptionTab {
  #line = new Line(AT_ONCE);
  #pictures;

  /** @param {PictureShelf} pictures */
  constructor(pictures) {
    this.#pictures = pictures;
    choose(byId("choose"), byId("files"), (files) => this.takeFiles(files));
    byId("by-address").addEventListener("submit", (event) => this.#submitAddress(event));
  }

  takeFiles(files) {
    for (const file of files) this.#take({ name: file.name || "Pasted picture", file });
  }

  takeAddress(url) {
    this.#take({ name: nameAt(new URL(url)), url });
  }

  /** A picture of the index. */
  async takePictureOf(hit) {
    const name = nameOf(hit);
    try {
      this.#take({ name, file: await readPicture(hit.url, name) });
    } catch (failure) {
      this.#put({ name }).card.showFailure(failure);
    }
  }

  /** Offer a choice where there is one. @param models those of /v1/models */
  offerModels(models) {
    const captioners = models.filter((model) => model.kind === "captioner");
    const picked = byId("model").value;
    const isChosen = (model) => (picked ? model.name === picked : model.default);
    const options = captioners.map((model) => new Option(model.name, model.name, model.default, isChosen(model)));
    byId("model").replaceChildren(...options);
    byId("model-chooser").hidden = captioners.length < 2;
  }

  #submitAddress(event) {
    event.preventDefault();
    const field = byId("picture-address");
    const good = URL.canParse(field.value.trim()) && /^https?:/.test(field.value.trim());
    byId("address-problem").textContent = good ? "" : "This is not a web address. It should begin with https://";
    field.setAttribute("aria-invalid", String(!good));
    if (!good) return field.focus();
    this.takeAddress(field.value.trim());
    field.value = "";
  }

  #take(picture) {
    const { card, signal } = this.#put(picture);
    const refusal = picture.file && refusalOf(picture.file);
    if (refusal) return card.showFailure(refusal);
    const start = () => this.#caption(picture, card, signal);
    card.on("retry", start);
    start();
  }

  #put(picture) {
    const card = new Card(picture);
    const leaving = new AbortController();
    card.on("copy", (event) => copyFrom(event.currentTarget, card.sentence));
    card.on("remove", () => {
      leaving.abort();
      this.#remove(card);
    });
    byId("cards").prepend(card.element);
    byId("panel-caption").dataset.state = "filled";
    return { card, signal: leaving.signal };
  }

  async #caption(picture, card, signal) {
    const patience = { signal, onWait: (seconds, now) => card.showBusy(seconds, now) };
    card.showQueued();
    try {
      const result = await this.#line.run(() => insist(() => this.#send(picture, card, signal), patience), signal);
      this.#show(picture, card, result);
      this.#label(picture, card, signal);
    } catch (failure) {
      if (signal.aborted) return;
      card.showFailure(failure);
      announce(`${picture.name}: ${failure.message}`);
    }
  }

  /** One picture, one request: a failing one harms no other, and each has its own progress. */
  async #send({ file, url }, card, signal) {
    const model = byId("model").value;
    const options = { num_captions: CAPTIONS, attention: true, ...(model && { model }) };
    card.showThinking();
    const asking = url ? postJSON(PATH, { url, ...options }, signal) : upload(file, options, card, signal);
    const [result] = (await asking).results ?? [];
    if (result?.error) throw failureOf(result.error.status, result.error);
    if (!result?.captions?.length) throw new Failure("The service found no words for this picture.");
    return result;
  }

  /** What is recognised comes after the caption, and a card without it is as good. */
  async #label({ file, url }, card, signal) {
    try {
      const asking = url ? postJSON(LABELS, { url }, signal) : sendForm(LABELS, formOf(file, {}), { signal });
      const [result] = (await asking).results ?? [];
      card.showLabels(result?.labels ?? [], (text) => format({ tab: "find", k: COUNTS[0], text }));
    } catch {
      card.showLabels([]);
    }
  }

  #show({ name, file }, card, result) {
    const [best] = result.captions;
    card.showCaptions(result, file?.size);
    const [query, words] = file
      ? [{ picture: this.#pictures.keep(file) }, "Find pictures like this"]
      : [{ text: best.text }, "Find pictures by these words"];
    card.linkTo(format({ tab: "find", k: COUNTS[0], ...query }), words);
    announce(`${name}: ${best.text}`);
  }

  #remove(card) {
    const next = card.element.nextElementSibling ?? card.element.previousElementSibling;
    card.remove();
    if (!next) byId("panel-caption").dataset.state = "home";
    (next?.querySelector('[data-part="remove"]') ?? byId("choose")).focus();
  }
}

const nameAt = ({ pathname, host }) => pathname.split("/").pop() || host;

function upload(file, options, card, signal) {
  return sendForm(PATH, formOf(file, options), { signal, onProgress: (share) => card.showUpload(share) });
}

function formOf(file, options) {
  const form = new FormData();
  form.append("image", file, file.name || "pasted");
  for (const [name, value] of Object.entries(options)) form.append(name, String(value));
  return form;
}
