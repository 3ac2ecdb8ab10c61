// Views, themes and keys.
function route() {
  const [, view = "overview", run, number] = location.hash.split("/");
  const known = ["overview", "episodes", "episode"].includes(view) && document.getElementById(view) ? view : "overview";
  for (const section of document.querySelectorAll(".view")) section.hidden = section.id !== known;
  for (const link of document.querySelectorAll(".top nav a")) {
    if (link.dataset.view === known || (known === "episode" && link.dataset.view === "episodes")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (known === "episode") ready.then(() => episodePage.show(+run, +number));
  if (known === "episodes") ready.then(() => { table.draw(); table.select(table.selected); document.getElementById("grid").focus({ preventScroll: true }); });
}
function theme(choice) {
  document.documentElement.dataset.theme = choice;
  try { localStorage.setItem("codeenv-theme", choice); } catch { /* a file opened from disk may have no storage */ }
}
function startTheme() {
  let saved = null;
  try { saved = localStorage.getItem("codeenv-theme"); } catch { /* as above */ }
  const asked = new URLSearchParams(location.search).get("theme");
  document.documentElement.dataset.theme = asked ?? saved ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}
function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) {
    if (event.key === "Escape" && event.target.matches("input")) event.target.blur();
    return;
  }
  const onEpisode = !document.getElementById("episode")?.hidden && episodePage.current;
  if (event.key === "t") theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  else if (event.key === "?") document.getElementById("help").showModal();
  else if (event.key === "o") location.hash = "#/overview";
  else if (!document.getElementById("episodes")) return;
  else if (event.key === "e" || (event.key === "Escape" && onEpisode)) location.hash = "#/episodes";
  else if (event.key === "/") { event.preventDefault(); location.hash = "#/episodes"; setTimeout(() => document.getElementById("f-text").focus(), 30); }
  else if (onEpisode && event.key === "n") episodePage.go(1);
  else if (onEpisode && event.key === "p") episodePage.go(-1);
  else if (onEpisode && event.key === "d") { episodePage.diff = !episodePage.diff; episodePage.render(); }
  else if (onEpisode && /^[1-9]$/.test(event.key)) { const turn = document.getElementById("turn-" + event.key); if (turn) { turn.scrollIntoView(); turn.focus({ preventScroll: true }); } }
}
startTheme();
const ready = document.getElementById("index") ? store.open().then(() => table.start()) : Promise.resolve();
ready.then(() => { document.body.dataset.ready = String(Math.round(performance.now())); }, (error) => {
  document.getElementById("main").prepend(node("p", { class: "bad", role: "alert" }, `The episodes cannot be read (${error}). A browser from 2023 or later is needed.`));
});
document.getElementById("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
document.getElementById("help-button").addEventListener("click", () => document.getElementById("help").showModal());
addEventListener("hashchange", route);
addEventListener("keydown", key);
route();
