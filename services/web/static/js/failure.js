/** What went wrong, in words for the person at the page. */

const BY_STATUS = new Map([
  [400, "This picture is damaged and cannot be read."],
  [413, "This picture is larger than the service takes."],
  [415, "This file is not a picture that can be read here."],
  [429, "The service has more to do than it can take right now."],
  [502, "The service behind this page does not answer."],
  [503, "The service is not ready."],
  [504, "The answer took too long."],
]);

// The same request would fail again: it is the picture or the question that has to change.
const LASTING = new Set([400, 404, 413, 415, 422]);
const USUAL_WAIT = 2; // seconds

export class Failure extends Error {
  /** @param {number|null} retryAfter seconds, where the service names them */
  constructor(message, { status = 0, retryAfter = null } = {}) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  get isLasting() {
    return LASTING.has(this.status);
  }

  /** Seconds after which the same request may well work, or null. */
  get wait() {
    return this.status === 429 ? (this.retryAfter ?? USUAL_WAIT) : null;
  }
}

/** The failure that a reply means: its problem's detail, or a sentence for its status where the reply has none. */
export function failureOf(status, body, retryAfter) {
  const detail = typeof body?.detail === "string" && body.detail.trim();
  const message = detail || BY_STATUS.get(status) || `The service answered with an error (${status}).`;
  return new Failure(message, { status, retryAfter: secondsOf(retryAfter) });
}

export function unreachable() {
  if (!navigator.onLine) return new Failure("You are offline. Try again when the connection is back.");
  return new Failure("The service cannot be reached. It may be starting; try again in a moment.");
}

export function tooSlow() {
  return new Failure("The answer took too long. Try again.", { status: 504 });
}

/** Retry-After is a number of seconds or a date (RFC 9110, 10.2.3). */
function secondsOf(header) {
  if (!header) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(1, Math.ceil(seconds)) : null;
}
