// The page of one episode: what was asked, then each turn with its code, tests, feedback, trace and reward.
const episodePage = {
  diff: true,
  async show(run, number) {
    const page = document.getElementById("episode");
    const row = store.rows.find((item) => item.run === run && item.number === number);
    if (!row) { page.replaceChildren(node("p", {}, `There is no episode ${number} in this run.`)); return; }
    const place = table.shown.indexOf(row);
    if (place >= 0) table.selected = place;
    const episode = await store.episode(row);
    this.current = { row, episode };
    this.render();
    scrollTo(0, 0);
    page.querySelector("h1").focus({ preventScroll: true });
  },
  render() {
    const { row, episode } = this.current, problem = episode.problem;
    const others = row.group.filter((other) => other !== row);
    const page = document.getElementById("episode");
    page.replaceChildren(
      node("div", { class: "ephead" },
        node("h1", { tabindex: "-1" }, row.id), node("span", { class: "badge v-" + (row.solved ? "accepted" : "runtime_error") }, row.solved ? "solved" : "not solved"),
        node("span", { class: "steps" },
          node("button", { type: "button", disabled: this.neighbour(-1) === null, onclick: () => this.go(-1) }, "← previous"),
          node("button", { type: "button", disabled: this.neighbour(1) === null, onclick: () => this.go(1) }, "next →"),
          node("button", { type: "button", onclick: () => { location.hash = "#/episodes"; } }, "list"))),
      node("ul", { class: "facts" },
        fact("run", store.index.runs[row.run]), fact("rollout", row.rollout), fact("seed", episode.seed), fact("reward", row.reward), fact("turns", row.verdicts.length),
        problem.source && fact("source", problem.source), problem.difficulty !== null && problem.difficulty !== undefined && fact("difficulty", problem.difficulty),
        others.length > 0 && node("li", {}, "other runs: ", others.map((other) => [node("a", { href: `#/episode/${other.run}/${other.number}` }, store.index.runs[other.run] + (other.solved ? " ✓" : " ✗")), " "]))),
      node("details", { open: true }, node("summary", {}, "What the model was asked"), node("pre", { class: "wrap", tabindex: "0" }, episode.prompt ?? problem.prompt ?? problem.statement ?? "")),
      ...episode.turns.map((turn, i) => this.turn(turn, i)));
  },
  turn(turn, i) {
    const { episode } = this.current, before = i ? episode.turns[i - 1] : null;
    const results = turn.public.results, passed = results.filter((result) => result.verdict === "accepted").length;
    const rewards = Object.entries(turn.reward_parts);
    const section = node("section", { class: "turn", id: "turn-" + (i + 1), tabindex: "-1", "aria-label": "Turn " + (i + 1) },
      node("header", {},
        node("h2", {}, "Turn " + (i + 1)), node("span", { class: "badge v-" + turn.public.verdict }, plain(turn.public.verdict)),
        node("span", { class: "right" },
          [
            results.length > 0 && `public ${passed} of ${results.length} passed`,
            turn.private && `private ${plain(turn.private.verdict)}, ${(turn.private.passed_fraction * 100).toFixed(0)} % passed`,
            rewards.length > 0 && "reward " + rewards.map(([name, value]) => `${value > 0 ? "+" : ""}${value} (${name === "solved" && value <= 0 ? "not solved" : name})`).join(", "),
          ].filter(Boolean).join(" · "))),
      this.codePart(turn, before, i));
    if (results.length) section.append(this.testsPart(turn, before));
    else if (turn.public.error) section.append(part("What the judge said", node("pre", { class: "wrap" }, turn.public.error)));
    const traced = results.find((result) => result.stepper);
    if (traced) section.append(part("Trace of test " + (traced.index + 1), stepper(traced.stepper)));
    if (turn.trace) section.append(part("Trace as the model saw it", node("pre", { class: "wrap seen", tabindex: "0" }, turn.trace)));
    if (turn.feedback) section.append(part("Feedback as the model saw it", node("pre", { class: "wrap seen", tabindex: "0" }, turn.feedback)));
    if (turn.extras?.trace_head) section.append(predictionsPart(turn.extras.trace_head));
    if (turn.extras) section.append(...extrasParts(turn.extras));
    return section;
  },
  codePart(turn, before, i) {
    const response = this.current.episode.responses[i] ?? "", body = node("div");
    const views = [["Code", () => (turn.source === null ? node("p", { class: "caption", style: "padding:0 16px 12px" }, "The response holds no program.") : codeBlock(turn.source))]];
    if (before && before.source !== null && turn.source !== null) views.unshift(["Changes", () => (before.source === turn.source ? node("p", { class: "caption", style: "padding:0 16px 12px" }, "The same program again.") : diffBlock(before.source, turn.source))]);
    if (turn.source !== null && turn.extras?.trace_head?.lines?.length) views.push(["Predicted run", () => predictedCode(turn.source, turn.extras.trace_head.lines)]);
    views.push(["Response", () => node("pre", { class: "wrap", tabindex: "0" }, response)]);
    const buttons = views.map(([name, draw]) => node("button", { type: "button", "aria-pressed": "false", onclick: (event) => { body.replaceChildren(draw()); for (const b of buttons) b.setAttribute("aria-pressed", String(b === event.currentTarget)); } }, name));
    const start = this.diff ? 0 : views.findIndex(([name]) => name === "Code");
    buttons[start].setAttribute("aria-pressed", "true");
    body.append(views[start][1]());
    return node("div", { class: "part" }, node("h3", {}, "Program", node("span", { class: "segments", role: "group", "aria-label": "View" }, buttons)), body);
  },
  testsPart(turn, before) {
    const { problem } = this.current.episode, earlier = new Map((before?.public.results ?? []).map((result) => [result.index, result.verdict]));
    const rows = turn.public.results.map((result) => {
      const test = problem.public_tests?.[result.index], was = earlier.get(result.index), ok = result.verdict === "accepted";
      const change = was === undefined || (was === "accepted") === ok ? "" : ok ? "newly passed" : "newly broken";
      return node("tr", {},
        node("th", { scope: "row" }, String(result.index + 1)),
        node("td", {}, node("span", { class: "badge v-" + result.verdict }, plain(result.verdict)), change && node("div", { class: "change " + (ok ? "good" : "bad") }, change)),
        node("td", {}, node("code", {}, test ? inputOf(test, problem) : "–")), node("td", {}, node("code", {}, test ? expectedOf(test) : "–")),
        node("td", {}, node("code", {}, [result.output, result.error].filter(Boolean).join("\n") || "–")));
    });
    return part("Public tests", node("table", { class: "tests" },
      node("thead", {}, node("tr", {}, ["Test", "Verdict", "Input", "Expected", "Got"].map((name) => node("th", { scope: "col" }, name)))), node("tbody", {}, rows)));
  },
  neighbour(step) {
    const place = table.shown.indexOf(this.current.row) + step;
    return table.shown.includes(this.current.row) && table.shown[place] ? table.shown[place] : null;
  },
  go(step) {
    const row = this.neighbour(step);
    if (row) location.hash = `#/episode/${row.run}/${row.number}`;
  },
};
const fact = (name, value) => node("li", {}, name + " ", node("b", {}, String(value)));
const part = (title, ...content) => node("div", { class: "part" }, node("h3", {}, title), ...content);

// Plain data in JSON (see codeenv.problems.plain) as Python writes it.
function python(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return "'" + value.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replaceAll("\n", "\\n") + "'";
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return "[" + value.map(python).join(", ") + "]";
  const items = (list) => list.map(python).join(", ");
  if ("$tuple" in value) return "(" + items(value.$tuple) + (value.$tuple.length === 1 ? ",)" : ")");
  if ("$set" in value) return value.$set.length ? "{" + items(value.$set) + "}" : "set()";
  if ("$frozenset" in value) return "frozenset({" + items(value.$frozenset) + "})";
  if ("$float" in value) return "float('" + value.$float + "')";
  if ("$dict" in value) return "{" + value.$dict.map(([k, v]) => python(k) + ": " + python(v)).join(", ") + "}";
  if ("$bytes" in value || "$complex" in value) return JSON.stringify(value);
  return "{" + Object.entries(value).map(([k, v]) => python(k) + ": " + python(v)).join(", ") + "}";
}
function inputOf(test, problem) {
  if ("input" in test) return test.input;
  if ("code" in test) return test.code;
  return (problem.entry_point ?? "f") + "(" + [...test.args.map(python), ...Object.entries(test.kwargs ?? {}).map(([k, v]) => `${k}=${python(v)}`)].join(", ") + ")";
}
const expectedOf = (test) => ("output" in test ? test.output : "code" in test ? "the assertions hold" : python(test.expected));

// Tokens with their mask and log-probabilities; other facts as a small table.
function extrasParts(extras) {
  const { tokens, pieces, logprobs, mask, trace_head, ...rest } = extras, parts = [];
  if (Array.isArray(tokens) || Array.isArray(pieces)) {
    const view = node("div", { class: "tokens" });
    (pieces ?? tokens).slice(0, 4000).forEach((piece, i) => {
      const chance = logprobs?.[i] !== undefined ? Math.exp(logprobs[i]) : null, on = !mask || mask[i];
      const title = [tokens ? "id " + tokens[i] : "", chance === null ? "" : `probability ${chance.toFixed(3)}, log ${logprobs[i].toFixed(3)}`, on ? "trained" : "masked"].filter(Boolean).join(", ");
      view.append(node("span", { class: on ? "" : "off", title, style: on && chance !== null ? `background:color-mix(in srgb, var(--c1) ${Math.round((1 - chance) * 50)}%, transparent)` : null }, pieces ? piece : String(piece) + " "));
    });
    parts.push(part(`Tokens (${(tokens ?? pieces).length}; the stronger the colour, the less likely; hatched is masked)`, view));
  }
  if (Object.keys(rest).length) parts.push(node("details", { style: "margin:0;border:0;border-top:1px solid var(--rule);border-radius:0" }, node("summary", {}, "What the agent recorded"), node("pre", { class: "wrap" }, JSON.stringify(rest, null, 2))));
  return parts;
}
