// Which words two texts do not share: the longest common subsequence of words.

const MOST_CELLS = 6_000_000;

// Both texts as runs [{text, same}], and the share of words in common (0 to 1).
export function compareWords(left, right) {
  const a = left.match(/\s+|\S+/g) ?? [];
  const b = right.match(/\s+|\S+/g) ?? [];
  const wordsA = places(a);
  const wordsB = places(b);
  const [sameA, sameB] = common(wordsA.map((i) => a[i]), wordsB.map((i) => b[i])).map(withoutSpecks);
  const shared = sameA.filter(Boolean).length;
  return {
    left: runs(a, wordsA, sameA),
    right: runs(b, wordsB, sameB),
    share: (2 * shared) / Math.max(1, wordsA.length + wordsB.length),
  };
}

const places = (pieces) => pieces.flatMap((piece, i) => (/\S/.test(piece) ? [i] : []));

function common(a, b) {
  const sameA = new Array(a.length).fill(false);
  const sameB = new Array(b.length).fill(false);
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) {
    sameA[start] = sameB[start] = true;
    start += 1;
  }
  let endA = a.length;
  let endB = b.length;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA -= 1;
    endB -= 1;
    sameA[endA] = sameB[endB] = true;
  }
  const n = endA - start;
  const m = endB - start;
  if (n * m > MOST_CELLS) {
    // Too long to align: a word is the same where the other text has it anywhere.
    const inA = new Set(a.slice(start, endA));
    const inB = new Set(b.slice(start, endB));
    for (let i = start; i < endA; i += 1) sameA[i] = inB.has(a[i]);
    for (let j = start; j < endB; j += 1) sameB[j] = inA.has(b[j]);
    return [sameA, sameB];
  }
  const width = m + 1;
  const longest = new Uint16Array((n + 1) * width);
  for (let i = n - 1; i >= 0; i -= 1) {
    for (let j = m - 1; j >= 0; j -= 1) {
      longest[i * width + j] = a[start + i] === b[start + j]
        ? longest[(i + 1) * width + j + 1] + 1
        : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  for (let i = 0, j = 0; i < n && j < m;) {
    if (a[start + i] === b[start + j]) {
      sameA[start + i] = sameB[start + j] = true;
      i += 1;
      j += 1;
    } else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i += 1;
    else j += 1;
  }
  return [sameA, sameB];
}

// A word or two in common amid what differs say nothing ("the", "of"): they are marked too.
function withoutSpecks(same) {
  const found = [];
  for (const value of same) {
    if (found.at(-1)?.value === value) found.at(-1).length += 1;
    else found.push({ value, length: 1 });
  }
  return found.flatMap(({ value, length }, i) => {
    const around = Math.min(found[i - 1]?.length ?? 0, found[i + 1]?.length ?? 0);
    return new Array(length).fill(value && !(length <= 2 && around >= length));
  });
}

function runs(pieces, words, same) {
  const isSame = new Array(pieces.length).fill(null);
  words.forEach((place, i) => { isSame[place] = same[i]; });
  const found = [];
  pieces.forEach((piece, i) => {
    // White space between two words that differ belongs to them.
    const state = isSame[i] ?? !(isSame[i - 1] === false && isSame[i + 1] === false);
    if (found.length && found.at(-1).same === state) found.at(-1).text += piece;
    else found.push({ text: piece, same: state });
  });
  return found;
}
