// Steps through a recorded trace (the JSONL form of codeenv.trace): the line that ran, and the variables of its frame.
const EVENT_NAMES = { c: "call", l: "line", i: "iteration", b1: "branch taken", b0: "branch not taken", n: "loop ends", h: "handler", r: "returns", y: "yields", x: "exception" };

function traceStates(text) {
  const events = text.split("\n").filter(Boolean).map((line) => JSON.parse(line)).filter((row) => Array.isArray(row) && row[2] > 0);
  const frames = new Map(), names = new Map([[0, "module"]]);
  return events.map(([, kind, line, frame, vars = {}, extra = {}]) => {
    if (kind === "c" && extra.fn) names.set(frame, extra.fn);
    const now = { ...(frames.get(frame) ?? {}), ...vars };
    frames.set(frame, now);
    const detail = kind === "r" || kind === "y" ? extra.value : kind === "x" || kind === "h" ? [extra.type, extra.msg].filter(Boolean).join(": ") : kind === "i" ? extra.n : kind === "n" ? extra.trips && extra.trips + " times" : "";
    return { kind, line, where: names.get(frame) ?? "frame " + frame, vars: now, changed: new Set(Object.keys(vars)), detail: detail ?? "" };
  });
}
function stepper(text, source) {
  let states;
  try { states = traceStates(text); } catch { return null; }
  if (!states.length) return null;
  const label = node("span", { role: "status" }), code = node("div"), vars = node("div");
  const slider = node("input", { type: "range", min: 1, max: states.length, value: 1, "aria-label": "Step of the trace", oninput: () => show() });
  const move = (by) => { slider.value = +slider.value + by; show(); };
  const show = () => {
    const state = states[slider.value - 1];
    label.textContent = `step ${slider.value} of ${states.length}: line ${state.line} in ${state.where}, ${EVENT_NAMES[state.kind] ?? state.kind} ${state.detail}`;
    const block = codeBlock(source, state.line);
    code.replaceChildren(block);
    const here = block.querySelector(".here");
    if (here) block.scrollTop = Math.max(0, here.offsetTop - block.offsetTop - 120);
    const rows = Object.entries(state.vars).map(([name, value]) => node("tr", { class: state.changed.has(name) ? "changed" : "" }, node("td", {}, name), node("td", {}, String(value))));
    vars.replaceChildren(node("table", { class: "vars" }, node("tbody", {}, rows.length ? rows : node("tr", {}, node("td", {}, "no variables yet")))));
  };
  show();
  return node("div", { class: "stepper" },
    node("div", { class: "bar" }, node("button", { type: "button", "aria-label": "Step back", onclick: () => move(-1) }, "←"), node("button", { type: "button", "aria-label": "Step on", onclick: () => move(1) }, "→"), slider, label),
    node("div", { class: "both" }, code, vars));
}
