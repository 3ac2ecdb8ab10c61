(function () {
  "use strict";
  const root = document.currentScript.parentElement;
  const data = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
  const last = data.events.length - 1;
  let at = 0;

  // marks that turn the direction of text around could show a program other than the one that ran
  const spelled = (mark) => "<U+" + mark.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0") + ">";
  function make(tag, name, text) {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = String(text).replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, spelled);
    return node;
  }

  const bar = make("div", "cs-bar");
  function button(label, title, action, name) {
    const node = make("button", name, label);
    node.type = "button";
    node.title = title;
    node.addEventListener("click", action);
    bar.append(node);
    return node;
  }
  const first = button("|\u25c0", "first step (Home)", () => show(0));
  const back = button("\u25c0 back", "one step back (left arrow)", () => show(at - 1));
  const forward = button("forward \u25b6", "one step forward (right arrow)", () => show(at + 1));
  const over = button("over \u2935", "next step of this function or its caller (down arrow)", () => show(nextInFrame()));
  const end = button("\u25b6|", "last step (End)", () => show(last));
  if (data.exception >= 0) button("exception", "jump to the exception (e)", () => show(data.exception), "cs-bad");
  const slider = make("input");
  slider.type = "range";
  slider.min = 0;
  slider.max = Math.max(last, 0);
  slider.setAttribute("aria-label", "step");
  slider.addEventListener("input", () => show(Number(slider.value)));
  const count = make("span", "cs-count");
  bar.append(slider, count);

  const source = make("div", "cs-source");
  const run = new Set(data.covered), missed = new Set(data.uncovered);
  const lines = data.source.map((text, index) => {
    const line = make("div", "cs-line" + (run.has(index + 1) ? " cs-run" : missed.has(index + 1) ? " cs-missed" : ""));
    line.append(make("span", "", String(index + 1)), make("span", "", text));
    source.append(line);
    return line;
  });

  const side = make("div", "cs-side");
  const what = make("div", "cs-what");
  const frames = make("div", "cs-frames");
  const outputHead = make("h3");
  const output = make("pre", "cs-output");
  side.append(make("h3", "", "step"), what, frames, outputHead, output);
  for (const sentence of data.ending) side.append(make("p", "cs-note", sentence));
  root.append(bar, source, side);

  function nextInFrame() {
    const frame = data.events[at] ? data.events[at].frame : 0;
    const outer = data.parents[frame];
    for (let index = at + 1; index <= last; index++)
      if (data.events[index].frame === frame || data.events[index].frame === outer) return index;
    return last;
  }

  function variables(step) {
    const known = new Map();
    const put = (frame, name, text, index) => {
      if (!known.has(frame)) known.set(frame, new Map());
      known.get(frame).set(name, { text, index });
    };
    for (let index = 0; index <= step; index++) {
      const event = data.events[index];
      const outside = new Set(event.outside || []);
      for (const [name, text] of Object.entries(event.vars || {})) put(outside.has(name) ? 0 : event.frame, name, text, index);
    }
    return known;
  }

  function showOutput(step) {
    const now = data.printed[step], before = step > 0 ? data.printed[step - 1] : 0;
    const whole = now === undefined || now < 0;
    outputHead.textContent = whole ? "output of the run" : "output so far";
    output.replaceChildren();
    if (whole) output.textContent = data.output || "(nothing)";
    else if (now === 0) output.textContent = "(nothing yet)";
    else {
      output.append(make("span", "", data.output.slice(0, Math.max(0, before))));
      if (now > before) output.append(make("span", "cs-new", data.output.slice(Math.max(0, before), now)));
    }
    output.scrollTop = output.scrollHeight;
  }

  function show(step) {
    at = Math.max(0, Math.min(last, step));
    const event = data.events[at];
    for (const line of lines) line.classList.remove("cs-now", "cs-raise");
    first.disabled = back.disabled = at <= 0;
    forward.disabled = over.disabled = end.disabled = at >= last;
    slider.value = at;
    frames.replaceChildren();
    showOutput(at);
    if (!event) {
      count.textContent = "no steps";
      what.textContent = "nothing was recorded";
      return;
    }
    count.textContent = "step " + (at + 1) + " of " + (last + 1);
    const raised = event.kind === "x";
    const line = lines[event.line - 1];
    if (line) {
      line.classList.add("cs-now");
      line.classList.toggle("cs-raise", raised);
      const above = line.offsetTop - source.offsetTop;
      if (above < source.scrollTop || above > source.scrollTop + source.clientHeight - 40)
        source.scrollTop = above - source.clientHeight / 2;
    }
    what.textContent = "line " + event.line + ": " + event.text;
    what.classList.toggle("cs-raise", raised);
    const known = variables(at);
    const stack = [event.frame];
    while (stack[stack.length - 1] !== 0 && stack.length < 20) stack.push(data.parents[stack[stack.length - 1]] || 0);
    for (const frame of stack) {
      if (frame === 0 && stack.length > 1 && !known.has(0)) continue;
      const table = make("table");
      for (const [name, value] of known.get(frame) || []) {
        const row = make("tr", value.index === at ? "cs-new" : "");
        row.append(make("td", "", name), make("td", "", value.text));
        table.append(row);
      }
      const name = data.functions[frame] || "?";
      frames.append(make("h3", "", frame === 0 ? "module" : name + " \u00b7 call " + frame), table);
    }
  }

  root.addEventListener("keydown", (key) => {
    const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: last };
    if (key.target === slider && key.key !== "e") return;
    if (key.key in moves) show(moves[key.key]);
    else if (key.key === "ArrowDown") show(nextInFrame());
    else if (key.key === "e" && data.exception >= 0) show(data.exception);
    else return;
    key.preventDefault();
  });
  show(0);
})();
