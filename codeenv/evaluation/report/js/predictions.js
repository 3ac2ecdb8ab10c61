// What a trace head says of a program before it runs, beside what happened: lines, outcome, exception, variables.
const percent = (share) => Math.round(share * 100) + " %";
const words = (name) => String(name).replaceAll("_", " ");

// The program with each executable line coloured by how likely the head thinks it is run; wrong guesses (at one half) are marked.
function predictedCode(source, lines) {
  const said = new Map(lines.map(([number, chance, ran]) => [number, { chance, ran, wrong: (chance >= 0.5) !== ran }]));
  const missed = lines.filter(([, chance, ran]) => (chance >= 0.5) !== ran).length;
  const block = node("div", { class: "code predicted", tabindex: "0", role: "region", "aria-label": "Code with the predicted execution of each line" });
  coloured(source.replace(/\n$/, "")).forEach((pieces, i) => {
    const line = said.get(i + 1), tint = line ? `--p:${Math.round(line.chance * 100)}%` : null;
    const kind = line ? (line.wrong ? " wrong" : " guessed") : "";
    const text = line ? `predicted ${percent(line.chance)}, ${line.ran ? "was run" : "was not run"}${line.wrong ? ": wrong" : ""}` : "";
    block.append(
      node("span", { class: "no", "aria-hidden": "true" }, String(i + 1)),
      node("span", { class: "chance" + kind, style: tint, title: text, role: line ? "img" : null, "aria-label": line ? text : null }, line ? percent(line.chance) : ""),
      node("span", { class: "truth" + kind, "aria-hidden": "true" }, line ? (line.ran ? "ran" : "not run") : ""),
      node("span", { class: "ln" + kind, style: tint }, drawLine(pieces)));
  });
  const legend = `Beside each line: how likely the head thinks it is run, and whether it was. ${missed ? `Marked: ${missed} of ${lines.length} lines on which it is wrong.` : `It is right on all ${lines.length} lines.`}`;
  return node("div", {}, node("p", { class: "caption inset" }, legend), block);
}

// Classes by probability, likeliest first, with the true one marked; classes below one percent are left out unless they are true.
function chancesList(title, chances, truth) {
  const rows = Object.entries(chances).sort((a, b) => b[1] - a[1]).filter(([name, share], i) => i === 0 || share >= 0.01 || name === truth);
  return node("div", { class: "chances" }, node("h4", {}, title),
    node("ul", {}, rows.map(([name, share], i) => {
      const state = name === truth ? (i === 0 ? "good" : "bad") : "";
      return node("li", { class: state, title: `${words(name)}: ${(share * 100).toFixed(1)} %` },
        node("span", { class: "name" }, words(name), name === truth && node("b", {}, " \u2190 what happened")),
        node("span", { class: "bar", "aria-hidden": "true" }, node("i", { style: `width:${share * 100}%` })), node("span", { class: "share" }, percent(share)));
    })));
}

function predictionsPart(said) {
  const lists = [];
  if (said.outcome) lists.push(chancesList("Outcome", said.outcome, said.true_outcome));
  if (said.exception && said.true_exception) lists.push(chancesList("Type of the exception", said.exception, said.true_exception));
  const content = [node("div", { class: "predictions" }, lists)];
  if (said.variables?.length) {
    const guess = (found, truth) => node("td", { class: found === truth ? "good" : "bad" }, words(found), found !== truth && node("span", { class: "was" }, "true: " + words(truth)));
    content.push(node("table", { class: "tests" },
      node("thead", {}, node("tr", {}, ["Variable", "Type at the end", "Value at the end"].map((name) => node("th", { scope: "col" }, name)))),
      node("tbody", {}, said.variables.map(([name, kind, bucket, trueKind, trueBucket]) => node("tr", {}, node("th", { scope: "row" }, node("code", {}, name)), guess(kind, trueKind), guess(bucket, trueBucket))))));
  }
  return part("What the trace head predicts", ...content);
}
