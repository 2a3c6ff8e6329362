/** Numbers as people read them. */

const PERCENT = new Intl.NumberFormat("en", { style: "percent" });
const FINE_PERCENT = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
const WHOLE = new Intl.NumberFormat("en");
const ONE_DIGIT = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export const percent = (share) => PERCENT.format(share);
export const whole = (number) => WHOLE.format(number);
export const finePercent = (share) => FINE_PERCENT.format(share);
export function bytesInWords(bytes) {
  if (bytes < 1e6) return `${whole(Math.ceil(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${ONE_DIGIT.format(bytes / 1e6)} MB` : `${ONE_DIGIT.format(bytes / 1e9)} GB`;
}

export const count = (number, one, many) => `${whole(number)} ${number === 1 ? one : many}`;

export const UNSURE = 0.4; // a confidence below it: what is recognised tells more than the caption

/**
 * How likely a caption is right. A model without confidence has only its score, the mean log probability: exp(score) is
 * how sure it was of a word on average.
 */
export function sureness({ confidence, score }) {
  if (typeof confidence !== "number") {
    const share = Math.min(1, Math.exp(score));
    return { share, words: share >= 0.6 ? "Sure" : share >= 0.4 ? "Fairly sure" : share >= 0.25 ? "Not so sure" : "A guess" };
  }
  const words = confidence >= 0.8 ? "Sure" : confidence >= 0.6 ? "Fairly sure" : confidence >= UNSURE ? "Not so sure" : "Not sure";
  return { share: confidence, words };
}
