// A person against the network: the same twenty held-out puzzles, two scores with intervals.
import { askJson, choice, h, icon, silence, told } from "/page/parts.js";

export async function puzzleView(view, about, rest) {
  if (!about.puzzles.length) {
    view.replaceChildren(h("p", {}, `Puzzles of ${about.tasks.join(", ")} cannot be played here; those of av-correspondence, shuffle-learn, rotation and jigsaw can.`));
    return;
  }
  const task = about.puzzles.includes(rest[0]) ? rest[0] : about.puzzles[0];
  const seed = Math.floor(Math.random() * 1e6);
  view.replaceChildren(h("p", { class: "soft" }, "drawing twenty puzzles …"));
  const { question, rounds, held_out } = await askJson(`/api/puzzles/${task}?seed=${seed}`);
  const given = [];
  const box = h("div", { class: "puzzle" });
  let player = null;
  view.replaceChildren(
    about.puzzles.length > 1 ? h("div", { class: "bar" }, choice("puzzles", "which puzzle", about.puzzles.map(name => [name, name]), task, name => { location.hash = `#/puzzle/${name}`; })) : "",
    box);

  function ask() {
    player?.pause();
    const round = rounds[given.length];
    player = round.sound ? new Audio(round.sound) : null;
    const hear = () => { silence(); player.currentTime = 0; player.play().catch(() => {}); };
    box.replaceChildren(
      h("h1", {}, question),
      h("progress", { max: rounds.length, value: given.length, "aria-label": "puzzles answered" }),
      h("p", { class: "soft small" }, `puzzle ${given.length + 1} of ${rounds.length} · ${held_out ? "held out: the network has not seen them either" : "from this collection; the run's own held-out data are elsewhere"}`,
        h("span", { class: "keys" }, ` · keys 1 to ${round.choices.length}${player ? ", space to hear" : ""}`)),
      h("div", { class: "shown" },
        ...round.pictures.map((picture, k) => h("img", { src: picture, alt: round.pictures.length > 1 ? `picture ${k + 1}` : "the picture of the puzzle" })),
        player ? h("div", { class: "hear" },
          h("img", { src: round.heard, alt: "spectrogram of the sound" }),
          h("button", { type: "button", onclick: hear }, icon("play"), "hear it")) : null),
      h("div", { class: "choices" }, ...round.choices.map((text, k) => h("button", { type: "button", onclick: () => answer(k) },
        h("kbd", {}, String(k + 1)), text.startsWith("data:") ? h("img", { src: text, alt: `choice ${k + 1}` }) : text))),
      h("div", { class: "bar" },
        given.length ? h("button", { type: "button", onclick: () => { given.pop(); ask(); } }, icon("back"), "back") : null,
        given.length > 2 ? h("button", { type: "button", onclick: finish }, `end after ${given.length}`) : null));
    if (player && given.length) hear();  // a browser plays by itself only once the page was touched
  }

  function answer(choice) {
    given.push(choice);
    if (given.length < rounds.length) ask(); else finish();
  }

  async function finish() {
    player?.pause();
    try {
      const found = await askJson(`/api/puzzles/${task}/answers?seed=${seed}`, { method: "POST", body: JSON.stringify(given) });
      const name = (round, k) => round.choices[k].startsWith("data:") ? `choice ${k + 1}` : round.choices[k];
      box.replaceChildren(
        h("h1", {}, verdict(found)),
        h("table", { class: "scores" },
          h("thead", {}, h("tr", {}, ...["", "right", "95 % interval", ""].map(text => h("th", { scope: "col", class: "soft" }, text)))),
          h("tbody", {}, scored("you", found.you, found.chance), scored("the network", found.networks, found.chance))),
        h("p", { class: "soft small" }, `Chance is ${percent(found.chance)} (dashed). ${found.you.n} puzzles leave wide intervals: play on to narrow yours.`),
        h("div", { class: "bar" }, h("button", { type: "button", class: "main", onclick: () => dispatchEvent(new HashChangeEvent("hashchange")) }, "Twenty more")),
        h("h2", {}, "The answers"),
        h("ul", { class: "rounds" }, ...found.truth.map((truth, k) => h("li", {},
          h("img", { src: rounds[k].pictures[0], alt: "" }),
          h("div", { class: "truth" }, name(rounds[k], truth)),
          h("div", { class: given[k] === truth ? "good" : "bad" }, `you ${given[k] === truth ? "✓" : "✗"}`),
          h("div", { class: found.network[k] === truth ? "good" : "bad" }, `network ${found.network[k] === truth ? "✓" : "✗"}`)))));
    } catch (error) { told(error); }
  }

  const keys = event => {
    const round = rounds[given.length];
    if (!round || event.target.closest("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && player && !event.target.closest("button, a")) { event.preventDefault(); player.currentTime = 0; player.play(); }
    const number = Number(event.key);
    if (number >= 1 && number <= round.choices.length) { event.preventDefault(); answer(number - 1); }
  };
  addEventListener("keydown", keys);
  ask();
  return () => { player?.pause(); removeEventListener("keydown", keys); };
}

const percent = share => `${Math.round(100 * share)} %`;

function verdict({ you, networks }) {
  if (you.low > networks.high) return "You are better than the network.";
  if (networks.low > you.high) return "The network is better than you.";
  return you.value === networks.value ? "A draw." : `${you.value > networks.value ? "You lead" : "The network leads"}, but so few puzzles do not decide it.`;
}

function scored(name, score, chance) {
  const space = "http://www.w3.org/2000/svg", svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 200 18");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const line = (x1, x2, y1, y2, stroke, width, dash = "") => {
    const drawn = document.createElementNS(space, "line");
    for (const [key, value] of Object.entries({ x1, x2, y1, y2, stroke, "stroke-width": width, "stroke-dasharray": dash, "vector-effect": "non-scaling-stroke" })) drawn.setAttribute(key, value);
    svg.append(drawn);
  };
  line(0, 200, 9, 9, "var(--faint)", 8);
  line(200 * score.low, 200 * score.high, 9, 9, "var(--accent)", 8);
  line(200 * score.value, 200 * score.value, 1, 17, "var(--ink)", 3);
  line(200 * chance, 200 * chance, 0, 18, "var(--soft)", 1.5, "3 2");
  return h("tr", {}, h("th", { scope: "row" }, name),
    h("td", { class: "n" }, `${Math.round(score.value * score.n)} of ${score.n}, ${percent(score.value)}`),
    h("td", { class: "n" }, `${percent(score.low)} to ${percent(score.high)}`),
    h("td", { class: "line" }, svg));
}
