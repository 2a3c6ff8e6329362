/** Times as people say them. */

const AGO = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const UNITS = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** @param {string} moment as the service writes it; one that lies ahead is taken for now: clocks differ */
export function ago(moment) {
  const seconds = Math.max(0, (Date.now() - new Date(moment)) / 1000);
  const unit = UNITS.find(([, length]) => seconds >= length);
  return unit ? AGO.format(-Math.floor(seconds / unit[1]), unit[0]) : "just now";
}

/** About how long something takes. */
export function span(seconds) {
  if (seconds < 90) return inUnits(Math.max(1, Math.round(seconds)), "second");
  if (seconds < 5_400) return inUnits(Math.round(seconds / 60), "minute");
  return inUnits(Math.round(seconds / 3_600), "hour");
}

const inUnits = (number, unit) => `${number} ${unit}${number === 1 ? "" : "s"}`;
