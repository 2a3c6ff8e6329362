/** A picture of the index, as a search answers with it. */

export const nameOf = (hit) => hit.path.split("/").pop();
