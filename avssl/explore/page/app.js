// Which view is shown, and what all of them share.
import { askJson, h, silence, told } from "/page/parts.js";
import { searchView } from "/page/search.js";
import { whereView } from "/page/where.js";
import { mapView } from "/page/map.js";
import { puzzleView } from "/page/puzzle.js";

const TITLES = { search: "Search", where: "Where", map: "Map", puzzle: "Puzzle", run: "Run" };
const VIEWS = { search: searchView, where: whereView, map: mapView, puzzle: puzzleView, run: runView };
const view = document.getElementById("view");
let leave = () => {};

function runView(view) {
  view.replaceChildren(h("iframe", { src: "/report", title: "report of the run", sandbox: "allow-scripts" }));
}

// A view is a function that fills the page and returns what to do when it is left.
async function show(about) {
  const [name, ...rest] = location.hash.replace(/^#\//, "").split("/");
  const known = name in VIEWS ? name : "search";
  leave();
  leave = () => {};
  silence();
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#/${known}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[known]} · avssl explore`;
  try {
    leave = (await VIEWS[known](view, about, rest)) ?? (() => {});
  } catch (error) {
    view.replaceChildren(h("p", { class: "soft" }, error.message));
    told(error);
  }
}

try {
  const about = await askJson("/api/about");
  document.getElementById("about").textContent =
    `${about.collection} · ${about.moments.toLocaleString("en")} moments of ${about.items.toLocaleString("en")} items · ${about.run}`;
  addEventListener("hashchange", () => { show(about); view.focus({ preventScroll: true }); scrollTo(0, 0); });
  await show(about);
} catch (error) {
  view.replaceChildren(h("p", {}, error.message));
}
