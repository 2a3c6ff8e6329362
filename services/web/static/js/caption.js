/** The Caption tab: pictures come in, are queued and sent, and become cards with captions. */

import { searchAddress } from "./address.js";
import { Failure, failureOf, nameOf, postJSON, postPicture, Queue, readPicture, refusalOf, withRetries } from "./api.js";
import { Card } from "./card.js";
import { announce, byId, copyFrom } from "./dom.js";
import { onChoose } from "./intake.js";
import { labelsOf } from "./labels.js";

const PATH = "/v1/captions";
const AT_ONCE = 2;
const CAPTIONS = 3;

export class CaptionTab {
  #queue = new Queue(AT_ONCE);
  #pictures;

  /** @param {QueryPictures} pictures */
  constructor(pictures) {
    this.#pictures = pictures;
    onChoose(byId("choose"), byId("files"), (files) => this.addFiles(files));
    byId("by-address").addEventListener("submit", (event) => this.#submitAddress(event));
  }

  addFiles(files) {
    for (const file of files) this.#add({ name: file.name || "Pasted picture", file });
  }

  addAddress(url) {
    this.#add({ name: nameAt(new URL(url)), url });
  }

  async addHit(hit) {
    const name = nameOf(hit);
    try {
      this.#add({ name, file: await readPicture(hit.url, name) });
    } catch (failure) {
      this.#addCard({ name }).card.showFailure(failure);
    }
  }

  /** Offers a choice of model if there are several. @param models as in /v1/models */
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
    byId("address-problem").textContent = good ? "" : "This is not a web address. It should start with https://";
    field.setAttribute("aria-invalid", String(!good));
    if (!good) return field.focus();
    this.addAddress(field.value.trim());
    field.value = "";
  }

  #add(picture) {
    const { card, signal } = this.#addCard(picture);
    const refusal = picture.file && refusalOf(picture.file);
    if (refusal) return card.showFailure(refusal);
    const start = () => this.#caption(picture, card, signal);
    card.onClick("retry", start);
    start();
  }

  #addCard(picture) {
    const card = new Card(picture);
    const leaving = new AbortController();
    card.onClick("copy", (event) => copyFrom(event.currentTarget, card.sentence));
    card.onClick("remove", () => {
      leaving.abort();
      this.#remove(card);
    });
    byId("cards").prepend(card.element);
    byId("panel-caption").dataset.state = "filled";
    return { card, signal: leaving.signal };
  }

  async #caption(picture, card, signal) {
    const onWait = (wait, tryNow) => card.showBusy(wait, tryNow);
    const send = () => withRetries(() => this.#send(picture, card, signal), { signal, onWait });
    card.showQueued();
    try {
      const result = await this.#queue.run(send, signal);
      this.#show(picture, card, result);
      this.#label(picture, card, signal);
    } catch (failure) {
      if (signal.aborted) return;
      card.showFailure(failure);
      announce(`${picture.name}: ${failure.message}`);
    }
  }

  /** Sends one picture per request, so that one that fails affects no other and each has its own progress. */
  async #send({ file, url }, card, signal) {
    const model = byId("model").value;
    const options = { num_captions: CAPTIONS, attention: true, ...(model && { model }) };
    card.showThinking();
    const onProgress = (share) => card.showUpload(share);
    const reply = url ? postJSON(PATH, { url, ...options }, signal) : postPicture(PATH, file, options, { signal, onProgress });
    const [result] = (await reply).results ?? [];
    if (result?.error) throw failureOf(result.error.status, result.error);
    if (!result?.captions?.length) throw new Failure("The service found no caption for this picture.");
    return result;
  }

  /** Labels follow the caption; without them the card is still complete. */
  async #label(picture, card, signal) {
    try {
      card.showLabels(await labelsOf(picture, signal), (text) => searchAddress({ text }));
    } catch {
      card.showLabels([]);
    }
  }

  #show({ name, file }, card, result) {
    const [best] = result.captions;
    card.showCaptions(result, file?.size);
    if (file) card.linkTo(searchAddress({ picture: this.#pictures.keep(file) }), "Find pictures like this");
    else card.linkTo(searchAddress({ text: best.text }), "Find pictures matching this caption");
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
