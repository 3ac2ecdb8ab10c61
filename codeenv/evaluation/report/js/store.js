// The page's data: gzipped JSON in script elements; the index is read at once, details when an episode is opened.
const store = {
  index: null,
  cache: new Map(),
  async unpack(id) {
    if (!this.cache.has(id)) this.cache.set(id, this.read(id));
    return this.cache.get(id);
  },
  async read(id) {
    const element = document.getElementById(id);
    const binary = atob(element.textContent);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  },
  async open() {
    const index = await this.unpack("index");
    this.index = index;
    const e = index.episodes;
    const byKey = new Map();
    this.rows = e.run.map((run, i) => {
      const row = {
        at: i, run, problem: e.problem[i], id: index.problems[e.problem[i]][0], difficulty: index.problems[e.problem[i]][1],
        number: e.number[i], rollout: e.rollout[i], solved: e.solved[i], public: e.public[i], reward: e.reward[i], verdicts: e.verdicts[i],
      };
      const key = row.problem + "/" + row.rollout;
      if (!byKey.has(key)) byKey.set(key, []);
      byKey.get(key).push(row);
      row.group = byKey.get(key);
      return row;
    });
    for (const group of byKey.values()) {
      const differ = group.some((row) => row.solved !== group[0].solved);
      for (const row of group) row.differ = differ;
    }
    this.rows.sort((a, b) => a.run - b.run || a.number - b.number);
  },
  verdict(code) { return this.index.codes[code]; },
  async episode(row) {
    const size = this.index.chunk;
    const [episodes, problems] = await Promise.all([
      this.unpack("episodes-" + Math.floor(row.at / size)), this.unpack("problems-" + Math.floor(row.problem / size)),
    ]);
    return { ...episodes[row.at % size], problem: problems[row.problem % size] };
  },
};

// Marks that turn the direction of text around could show a program other than the one that ran: they are spelled out.
const spelled = (text) => text.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (mark) => "<U+" + mark.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0") + ">");

// Elements: node("p", {class: "x"}, "text", child, ...); text is never parsed as HTML.
function node(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  const there = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  element.append(...there.map((child) => (typeof child === "string" && tag !== "script" ? spelled(child) : child)));
  return element;
}
const plain = (verdict) => verdict.replaceAll("_", " ");
