/** Requests to the service. They return the parsed reply or throw a Failure; an aborted one throws its signal's reason. */

import { bytesInWords, count } from "./wording.js";

const TIMEOUT_MS = 90_000;
const MAX_BYTES = 20_000_000;
const TRIES = 6;
const DEFAULT_WAIT_S = 2;
const LASTING = new Set([400, 404, 413, 415, 422]); // the same request would fail again

const MESSAGES = new Map([
  [400, "This picture is damaged and cannot be read."],
  [413, "This picture is too large for the service."],
  [415, "This file is not a picture in a supported format."],
  [429, "The service is too busy right now."],
  [502, "The service behind this page is not responding."],
  [503, "The service is not ready."],
  [504, "The service took too long to respond."],
]);

/** An error with a message for the person at the page. */
export class Failure extends Error {
  /** @param {number|null} retryAfter in seconds, if the service gave it */
  constructor(message, { status = 0, retryAfter = null } = {}) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  get isLasting() {
    return LASTING.has(this.status);
  }

  /** Seconds to wait before a retry, or null if a retry makes no sense. */
  get wait() {
    return this.status === 429 ? (this.retryAfter ?? DEFAULT_WAIT_S) : null;
  }
}

/** The failure that a reply stands for: the detail of its problem document, or else a message for its status. */
export function failureOf(status, body, retryAfter) {
  const detail = typeof body?.detail === "string" && body.detail.trim();
  const message = detail || MESSAGES.get(status) || `The service returned an error (${status}).`;
  return new Failure(message, { status, retryAfter: secondsOf(retryAfter) });
}

/** @returns {Failure|null} why the service would refuse this file */
export function refusalOf(file) {
  if (file.size === 0) return new Failure("This file is empty.", { status: 400 });
  if (file.size <= MAX_BYTES) return null;
  const sizes = `This picture is ${bytesInWords(file.size)}; the limit is ${bytesInWords(MAX_BYTES)}.`;
  return new Failure(`${sizes} Save a smaller copy and try again.`, { status: 413 });
}

export function readJSON(path, signal) {
  return exchange(path, { signal });
}

/** @param {string|null} key the operator key, which some requests need */
export function postJSON(path, body, signal, key = null) {
  const headers = { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${headerValue(key)}` }) };
  return exchange(path, { method: "POST", headers, body: JSON.stringify(body), signal });
}

/** Downloads a picture of the index, or its thumbnail. @returns {Promise<File>} */
export async function readPicture(path, name, signal) {
  const [reply, bytes] = await send(path, { signal }, (reply) => reply.blob());
  if (!reply.ok) throw failureFrom(reply, await bytes.text());
  return new File([bytes], name, { type: bytes.type });
}

/** Posts a picture as a form. By XMLHttpRequest, because fetch does not report upload progress. */
export function postPicture(path, file, options, { signal, onProgress } = {}) {
  const form = new FormData();
  form.append("image", file, file.name || "pasted");
  for (const [name, value] of Object.entries(options)) form.append(name, String(value));
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const giveUp = () => request.abort();
    const settle = (how, value) => {
      signal?.removeEventListener("abort", giveUp);
      how(value);
    };
    request.open("POST", path);
    request.timeout = TIMEOUT_MS;
    request.upload.addEventListener("progress", ({ loaded, total }) => total && onProgress?.(loaded / total));
    request.addEventListener("load", () => {
      const body = parsed(request.responseText);
      if (request.status >= 200 && request.status < 300 && body) settle(resolve, body);
      else settle(reject, failureOf(request.status, body, request.getResponseHeader("Retry-After")));
    });
    request.addEventListener("error", () => settle(reject, unreachable()));
    request.addEventListener("timeout", () => settle(reject, tooSlow()));
    request.addEventListener("abort", () => settle(reject, signal.reason));
    if (signal?.aborted) return settle(reject, signal.reason);
    signal?.addEventListener("abort", giveUp);
    request.send(form);
  });
}

/** The file name of a search hit. */
export const nameOf = (hit) => hit.path.split("/").pop();

/** Runs at most `width` jobs at a time, in order of arrival. */
export class Queue {
  #waiting = [];
  #free;

  constructor(width) {
    this.#free = width;
  }

  /** Resolves with the result of `job`. A job whose signal is aborted while it waits never starts. */
  async run(job, signal) {
    if (this.#free === 0) await new Promise((resolve) => this.#waiting.push(resolve));
    else this.#free -= 1;
    try {
      signal?.throwIfAborted();
      return await job();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}

/**
 * Retries while the service is busy, waiting as long as it asks for.
 * @param onWait called every second with what to tell the person and a function that ends the wait
 */
export async function withRetries(attempt, { signal, onWait }) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (failure) {
      if (!failure.wait || tries === TRIES) throw failure;
      await countDown(failure.wait, onWait, signal);
    }
  }
}

function countDown(seconds, onWait, signal) {
  return new Promise((resolve, reject) => {
    let left = seconds;
    const tell = () => onWait(`Trying again in ${count(left, "second", "seconds")}`, finish);
    const finish = () => {
      clearInterval(timer);
      signal?.removeEventListener("abort", giveUp);
      resolve();
    };
    const giveUp = () => {
      clearInterval(timer);
      reject(signal.reason);
    };
    const timer = setInterval(() => {
      left -= 1;
      if (left > 0) tell();
      else finish();
    }, 1000);
    signal?.addEventListener("abort", giveUp, { once: true });
    tell();
  });
}

async function exchange(path, options) {
  const [reply, text] = await send(path, options, (reply) => reply.text());
  if (!reply.ok) throw failureFrom(reply, text);
  const body = parsed(text);
  if (!body) throw new Failure("The service sent a reply that this page does not understand.");
  return body;
}

/** The reply and its body as `read` returns it, both within the time limit. */
async function send(path, { signal, ...options }, read) {
  const limits = [AbortSignal.timeout(TIMEOUT_MS), signal].filter(Boolean);
  try {
    const reply = await fetch(path, { ...options, signal: AbortSignal.any(limits) });
    return [reply, await read(reply)];
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw error.name === "TimeoutError" ? tooSlow() : unreachable();
  }
}

/** A header holds bytes, one a character: these are the bytes of the text in UTF-8. */
function headerValue(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

function failureFrom(reply, text) {
  return failureOf(reply.status, parsed(text), reply.headers.get("Retry-After"));
}

function unreachable() {
  if (!navigator.onLine) return new Failure("You are offline. Try again when the connection is back.");
  return new Failure("The service cannot be reached. It may be starting; try again in a moment.");
}

function tooSlow() {
  return new Failure("The service took too long to respond. Try again.", { status: 504 });
}

/** Retry-After is a number of seconds or a date (RFC 9110, 10.2.3). */
function secondsOf(header) {
  if (!header) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(1, Math.ceil(seconds)) : null;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // such as a proxy's HTML page
  }
}
