/** Where the arrow keys, Home and End lead from place `here` of the places 0 to `last`; null for every other key. */
export function placeAfter(key, here, last) {
  return { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: last }[key] ?? null;
}
