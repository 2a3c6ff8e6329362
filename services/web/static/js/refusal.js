/** Why a file need not be sent at all. */

import { Failure } from "./failure.js";
import { bytesInWords } from "./numbers.js";

const MAX_BYTES = 20_000_000;

/** @returns {Failure|null} */
export function refusalOf(file) {
  if (file.size === 0) return new Failure("This file is empty.", { status: 400 });
  if (file.size <= MAX_BYTES) return null;
  const much = `This picture has ${bytesInWords(file.size)}; at most ${bytesInWords(MAX_BYTES)} can be sent.`;
  return new Failure(`${much} Save it smaller and try again.`, { status: 413 });
}
