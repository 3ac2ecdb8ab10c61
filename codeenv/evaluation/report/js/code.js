// Code on the page: colours, and the difference between two programs.
const KEYWORDS = /^(?:and|as|assert|async|await|break|case|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|match|nonlocal|not|or|pass|raise|return|try|while|with|yield|None|True|False)$/;
const TOKENS = /(#[^\n]*)|((?:[rbfuRBFU]{0,2})(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))|(\b\d[\w.]*\b)|([A-Za-z_]\w*)/g;

// Return, per line, a list of [text, class] pieces.
function coloured(source) {
  const lines = [[]];
  const add = (text, kind) => text.split("\n").forEach((part, i) => { if (i) lines.push([]); if (part) lines[lines.length - 1].push([part, kind]); });
  let last = 0, afterDef = false;
  for (const match of source.matchAll(TOKENS)) {
    add(source.slice(last, match.index), "");
    const word = match[4];
    const kind = match[1] ? "com" : match[2] ? "str" : match[3] ? "num" : KEYWORDS.test(word) ? "kw" : afterDef ? "def" : "";
    add(match[0], kind);
    afterDef = word === "def" || word === "class";
    last = match.index + match[0].length;
  }
  add(source.slice(last), "");
  return lines;
}
// Draw the pieces of a line; characters from `from` to `to` are marked.
function drawLine(pieces, from = 0, to = 0) {
  const out = [];
  let at = 0;
  for (const [text, kind] of pieces) {
    const cuts = [0, Math.max(0, Math.min(text.length, from - at)), Math.max(0, Math.min(text.length, to - at)), text.length];
    for (let i = 0; i < 3; i++) {
      const part = text.slice(cuts[i], cuts[i + 1]);
      if (!part) continue;
      const inner = kind ? node("span", { class: kind }, part) : document.createTextNode(spelled(part));
      out.push(i === 1 && to > from ? node("mark", {}, inner) : inner);
    }
    at += text.length;
  }
  return out;
}
function codeBlock(source, here = null) {
  const block = node("div", { class: "code", tabindex: "0", role: "region", "aria-label": "Code" });
  coloured(source.replace(/\n$/, "")).forEach((pieces, i) => {
    const mark = here === i + 1 ? " here" : "";
    block.append(node("span", { class: "no" + mark, "aria-hidden": "true" }, String(i + 1)), node("span", { class: "ln" + mark }, drawLine(pieces)));
  });
  return block;
}
// Longest common subsequence of lines; returns [kind, old line, new line] with kind " ", "-" or "+".
function diffLines(a, b) {
  let start = 0, endA = a.length, endB = b.length;
  while (start < endA && start < endB && a[start] === b[start]) start++;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) { endA--; endB--; }
  const n = endA - start, m = endB - start, out = [];
  for (let i = 0; i < start; i++) out.push([" ", i, i]);
  if (n * m > 4e6) {
    for (let i = start; i < endA; i++) out.push(["-", i, null]);
    for (let j = start; j < endB; j++) out.push(["+", null, j]);
  } else {
    const length = Array.from({ length: n + 1 }, () => new Uint16Array(m + 1));
    for (let i = n - 1; i >= 0; i--) for (let j = m - 1; j >= 0; j--)
      length[i][j] = a[start + i] === b[start + j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
    let i = 0, j = 0;
    while (i < n || j < m) {
      if (i < n && j < m && a[start + i] === b[start + j]) { out.push([" ", start + i, start + j]); i++; j++; }
      else if (i < n && (j >= m || length[i + 1][j] >= length[i][j + 1])) { out.push(["-", start + i, null]); i++; }
      else { out.push(["+", null, start + j]); j++; }
    }
  }
  for (let i = endA, j = endB; i < a.length; i++, j++) out.push([" ", i, j]);
  return out;
}
function diffBlock(before, after) {
  const old = before.replace(/\n$/, ""), now = after.replace(/\n$/, "");
  const a = old.split("\n"), b = now.split("\n"), oldPieces = coloured(old), newPieces = coloured(now);
  const ops = diffLines(a, b);
  const block = node("div", { class: "code", tabindex: "0", role: "region", "aria-label": "Code with the differences from the turn before" });
  const marks = new Map();
  for (let i = 0; i < ops.length; i++) {
    let dels = 0, adds = 0;
    while (ops[i + dels] && ops[i + dels][0] === "-") dels++;
    while (ops[i + dels + adds] && ops[i + dels + adds][0] === "+") adds++;
    if (dels && dels === adds) for (let k = 0; k < dels; k++) {
      const x = a[ops[i + k][1]], y = b[ops[i + dels + k][2]];
      let head = 0, tail = 0;
      while (head < x.length && head < y.length && x[head] === y[head]) head++;
      while (tail < x.length - head && tail < y.length - head && x[x.length - 1 - tail] === y[y.length - 1 - tail]) tail++;
      if ((head + tail) * 2 >= Math.min(x.length, y.length)) { marks.set(i + k, [head, x.length - tail]); marks.set(i + dels + k, [head, y.length - tail]); }
    }
    i += Math.max(0, dels + adds - 1);
  }
  ops.forEach(([kind, i, j], place) => {
    const style = kind === "+" ? " add" : kind === "-" ? " del" : "";
    const pieces = kind === "-" ? oldPieces[i] : newPieces[j];
    const number = kind === "-" ? "−" : kind === "+" ? "+" + String(j + 1).padStart(4) : String(j + 1);
    block.append(node("span", { class: "no" + style }, number), node("span", { class: "ln" + style }, drawLine(pieces ?? [], ...(marks.get(place) ?? []))));
  });
  return block;
}
