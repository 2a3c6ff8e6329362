/** Calls to the service: the parsed reply, or a Failure, or the reason of a signal by which the caller gave up. */

import { Failure, failureOf, tooSlow, unreachable } from "./failure.js";

const PATIENCE_MS = 90_000;

export function readJSON(path, signal) {
  return exchange(path, { signal });
}

/** @param {string|null} key the operator's, for what only operators may do */
export function postJSON(path, body, signal, key = null) {
  const headers = { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${inBytes(key)}` }) };
  return exchange(path, { method: "POST", headers, body: JSON.stringify(body), signal });
}

/** The bytes of a picture of ours, as a file. */
export async function readPicture(path, name) {
  const [reply, bytes] = await send(path, {}, (reply) => reply.blob());
  if (!reply.ok) throw failureFrom(reply, await bytes.text());
  return new File([bytes], name, { type: bytes.type });
}

/** Upload a form. XMLHttpRequest, because fetch cannot tell how much has been sent. */
export function sendForm(path, form, { signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const giveUp = () => request.abort();
    const settle = (how, value) => {
      signal?.removeEventListener("abort", giveUp);
      how(value);
    };
    request.open("POST", path);
    request.timeout = PATIENCE_MS;
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

async function exchange(path, options) {
  const [reply, text] = await send(path, options, (reply) => reply.text());
  if (!reply.ok) throw failureFrom(reply, text);
  const body = parsed(text);
  if (!body) throw new Failure("The service sent an answer that this page does not understand.");
  return body;
}

/** The reply and what `read` makes of it; the time limit holds for both. */
async function send(path, { signal, ...options }, read) {
  const limits = [AbortSignal.timeout(PATIENCE_MS), signal].filter(Boolean);
  try {
    const reply = await fetch(path, { ...options, signal: AbortSignal.any(limits) });
    return [reply, await read(reply)];
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw error.name === "TimeoutError" ? tooSlow() : unreachable();
  }
}

/** A header carries bytes, each of them a letter: the letters that stand for the text in UTF-8. */
function inBytes(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

function failureFrom(reply, text) {
  return failureOf(reply.status, parsed(text), reply.headers.get("Retry-After"));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy's HTML page
  }
}
