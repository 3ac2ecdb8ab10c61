// The stepper of codeenv.trace, drawn on demand: its script looks for its data in the element that it stands in.
function stepper(data) {
  const root = node("div", { class: "codeenv-stepper", tabindex: "0" }, node("script", { type: "application/json" }, JSON.stringify(data)));
  const script = node("script", {}, document.getElementById("stepper-script").textContent);
  queueMicrotask(() => root.append(script)); // runs once the element is in the page
  return root;
}
