/** Numbers, sizes, times and confidences in words. */

const PERCENT = new Intl.NumberFormat("en", { style: "percent" });
const FINE_PERCENT = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
const WHOLE = new Intl.NumberFormat("en");
const ONE_DIGIT = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const AGO = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const UNITS = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

export const UNSURE = 0.4; // below this confidence a caption is more likely wrong than right

export const percent = (share) => PERCENT.format(share);
export const finePercent = (share) => FINE_PERCENT.format(share);
export const whole = (number) => WHOLE.format(number);
export const count = (number, one, many) => `${whole(number)} ${number === 1 ? one : many}`;
export const capitalized = (text) => text.charAt(0).toLocaleUpperCase("en") + text.slice(1);

export function bytesInWords(bytes) {
  if (bytes < 1e6) return `${whole(Math.ceil(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${ONE_DIGIT.format(bytes / 1e6)} MB` : `${ONE_DIGIT.format(bytes / 1e9)} GB`;
}

/** @param {string} moment in ISO 8601; one in the future counts as now, because clocks differ */
export function ago(moment) {
  const seconds = Math.max(0, (Date.now() - new Date(moment)) / 1000);
  const unit = UNITS.find(([, length]) => seconds >= length);
  return unit ? AGO.format(-Math.floor(seconds / unit[1]), unit[0]) : "just now";
}

/** Roughly how long something takes. */
export function duration(seconds) {
  if (seconds < 90) return count(Math.max(1, Math.round(seconds)), "second", "seconds");
  if (seconds < 5_400) return count(Math.round(seconds / 60), "minute", "minutes");
  return count(Math.round(seconds / 3_600), "hour", "hours");
}

/**
 * How likely a caption is right. A model without a confidence has only its score, the mean log probability: exp(score) is
 * the mean probability of a token.
 */
export function sureness({ confidence, score }) {
  if (typeof confidence !== "number") {
    const share = Math.min(1, Math.exp(score));
    return { share, words: share >= 0.6 ? "Sure" : share >= 0.4 ? "Fairly sure" : share >= 0.25 ? "Not so sure" : "A guess" };
  }
  const words = confidence >= 0.8 ? "Sure" : confidence >= 0.6 ? "Fairly sure" : confidence >= UNSURE ? "Not so sure" : "Not sure";
  return { share: confidence, words };
}
