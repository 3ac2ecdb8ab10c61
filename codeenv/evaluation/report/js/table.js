// The episode table: filtered and sorted in memory, drawn only where it is seen.
const ROW = 36;
const table = {
  shown: [], selected: 0, sort: null, down: false,
  columns: [
    ["Problem", (r) => r.id, (r) => r.id],
    ["Run", (r) => r.run, (r) => store.index.runs[r.run]],
    ["Rollout", (r) => r.rollout, (r) => String(r.rollout)],
    ["Turns", (r) => r.verdicts.length, (r) => [...r.verdicts].map((code) => pip(code))],
    ["Outcome", (r) => r.solved * 2 + r.public, (r) => outcome(r)],
    ["Reward", (r) => r.reward, (r) => (r.reward > 0 ? "+" : "") + r.reward],
    ["Difficulty", (r) => r.difficulty ?? -1, (r) => (r.difficulty === null || r.difficulty === undefined ? "–" : r.difficulty.toFixed(2))],
    ["In the runs", (r) => r.group.reduce((sum, o) => sum + o.solved, 0), (r) => r.group.map((o) => sign("dotmark" + (o.solved ? " yes" : ""), store.index.runs[o.run] + (o.solved ? ": solved" : ": not solved")))],
  ],
  start() {
    const runs = document.getElementById("f-run");
    runs.append(node("option", { value: "" }, "all"), ...store.index.runs.map((name, i) => node("option", { value: i }, name)));
    const seen = new Set(store.rows.map((row) => row.verdicts[0]).filter(Boolean));
    document.getElementById("f-first").append(node("option", { value: "" }, "any"), ...[...seen].sort().map((code) => node("option", { value: code }, plain(store.verdict(code)))));
    document.getElementById("f-differ-label").hidden = store.index.runs.length < 2;
    const head = document.getElementById("grid-head");
    this.columns.forEach(([name], i) => {
      if (name === "In the runs" && store.index.runs.length < 2) name = "";
      head.append(node("span", { role: "columnheader", "aria-sort": "none" }, name && node("button", { type: "button", onclick: () => this.order(i) }, name)));
    });
    for (const control of document.querySelectorAll(".filters input, .filters select")) control.addEventListener("input", () => this.filter());
    document.querySelector(".filters").addEventListener("submit", (event) => event.preventDefault());
    document.getElementById("grid-body").addEventListener("scroll", () => this.draw(), { passive: true });
    document.getElementById("grid").addEventListener("keydown", (event) => this.key(event));
    addEventListener("resize", () => this.draw());
    this.filter();
  },
  filter() {
    const value = (id) => document.getElementById(id).value;
    const text = value("f-text").toLowerCase(), run = value("f-run"), outcome = value("f-outcome"), first = value("f-first");
    const differ = document.getElementById("f-differ").checked;
    this.shown = store.rows.filter((row) =>
      (!text || row.id.toLowerCase().includes(text)) && (run === "" || row.run === +run) && (!first || row.verdicts[0] === first) && (!differ || row.differ) &&
      (!outcome || (outcome === "solved" && row.solved) || (outcome === "unsolved" && !row.solved) ||
        (outcome === "repaired" && row.solved && row.verdicts.length > 1) || (outcome === "private" && row.public && !row.solved)));
    if (this.sort !== null) this.arrange();
    this.selected = 0;
    document.getElementById("shown").textContent = `${this.shown.length.toLocaleString("en")} of ${store.rows.length.toLocaleString("en")} episodes, ${this.shown.reduce((n, r) => n + r.solved, 0).toLocaleString("en")} solved`;
    document.getElementById("grid").setAttribute("aria-rowcount", this.shown.length + 1);
    document.getElementById("grid-space").style.height = this.shown.length * ROW + "px";
    document.getElementById("grid-body").scrollTop = 0;
    this.draw();
  },
  order(column) {
    this.down = this.sort === column ? !this.down : false;
    this.sort = column;
    document.querySelectorAll("#grid-head > span").forEach((span, i) => {
      const state = i === column ? (this.down ? "descending" : "ascending") : "none";
      span.setAttribute("aria-sort", state);
    });
    this.filter();
  },
  arrange() {
    const key = this.columns[this.sort][1], sign = this.down ? -1 : 1;
    this.shown.sort((a, b) => { const x = key(a), y = key(b); return (x < y ? -1 : x > y ? 1 : a.at - b.at) * sign; });
  },
  draw() {
    const body = document.getElementById("grid-body"), space = document.getElementById("grid-space");
    const from = Math.max(0, Math.floor(body.scrollTop / ROW) - 8), to = Math.min(this.shown.length, Math.ceil((body.scrollTop + (body.clientHeight || 700)) / ROW) + 8);
    space.replaceChildren(...this.shown.slice(from, to).map((row, i) => this.rowOf(row, from + i)));
    document.getElementById("grid").setAttribute("aria-activedescendant", "row-" + this.selected);
  },
  rowOf(row, place) {
    const cells = this.columns.map(([name, , show]) => node("span", { role: "gridcell" }, name === "In the runs" && store.index.runs.length < 2 ? null : show(row)));
    return node("div", { class: "row", role: "row", id: "row-" + place, "aria-rowindex": place + 2, "aria-selected": place === this.selected ? "true" : "false", style: `top:${place * ROW}px`, onclick: () => { this.selected = place; this.open(); } }, cells);
  },
  key(event) {
    const body = document.getElementById("grid-body"), page = Math.floor(body.clientHeight / ROW);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -1e9, End: 1e9 };
    if (event.target.closest("#grid-head")) return;
    if (event.key === "Enter") { event.preventDefault(); this.open(); return; }
    if (!(event.key in moves)) return;
    event.preventDefault();
    this.select(this.selected + moves[event.key]);
  },
  select(place) {
    this.selected = Math.max(0, Math.min(this.shown.length - 1, place));
    const body = document.getElementById("grid-body"), top = this.selected * ROW;
    if (top < body.scrollTop) body.scrollTop = top;
    else if (top + ROW > body.scrollTop + body.clientHeight) body.scrollTop = top + ROW - body.clientHeight;
    this.draw();
  },
  open() {
    const row = this.shown[this.selected];
    if (row) location.hash = `#/episode/${row.run}/${row.number}`;
  },
};
function pip(code) {
  const name = store.verdict(code);
  return sign("pip v-" + name, plain(name), code === "a" ? "✓" : code);
}
// A mark that says in words what it shows, also to those who hear the page.
const sign = (className, words, ...content) => node("span", { class: className, role: "img", "aria-label": words, title: words }, ...content);
function outcome(row) {
  if (row.solved) return node("span", { class: "good" }, "solved" + (row.verdicts.length > 1 ? " in turn " + row.verdicts.length : ""));
  return node("span", { class: row.public ? "bad" : "" }, row.public ? "private tests failed" : "not solved");
}
