// All moments in two dimensions: hover to see one, press to search with it, draw around some to list them.
import { ask, askJson, bytesOf, card, choice, h, told } from "/page/parts.js";

const MOST_LISTED = 200;
const kept = { kind: null, by: "label", method: "pca" };

/** Colours that can be told apart; many groups go round the wheel. */
function colours(count) {
  const few = ["#2f6fad", "#c4501b", "#3f8a4a", "#7a5aa6", "#b8860b", "#b23c77", "#23808a", "#8a6d5a", "#6f7f1f", "#5a5f66"];
  return count <= few.length ? few : Array.from({ length: count }, (_, k) => `hsl(${(k * 137.508) % 360} 55% ${45 + 12 * (k % 3)}%)`);
}

export async function mapView(view, about) {
  kept.kind ??= about.kinds[0];
  const canvas = h("canvas", { tabindex: "0", role: "img", "aria-label": "map of all moments; draw around some with the mouse to list them, or press + and − to zoom" });
  const peek = h("div", { class: "peek", hidden: true });
  const key = h("ul", { class: "key", "aria-label": "colours" });
  const heading = h("h2"), list = h("ol", { class: "cards" });
  const box = h("div", { class: "mapbox" }, canvas, peek);
  view.replaceChildren(
    h("div", { class: "bar" },
      choice("map-kind", "which half of the moments", [["image", "pictures", !about.kinds.includes("image")], ["audio", "sounds", !about.kinds.includes("audio")]], kept.kind, value => { kept.kind = value; load(); }),
      h("span", { class: "soft small" }, "coloured by"),
      choice("map-by", "coloured by", [["label", "label", !about.labels.length], ["source", "source"], ["time", "time"]], about.labels.length || kept.by !== "label" ? kept.by : (kept.by = "source"), value => { kept.by = value; load(); }),
      about.umap ? choice("map-method", "laid out by", [["pca", "PCA"], ["umap", "UMAP"]], kept.method, value => { kept.method = value; load(); }) : null,
      h("span", { class: "soft small" }, "draw around some to list them, wheel or + − to zoom")),
    box, key, heading, list);

  const pen = canvas.getContext("2d");
  let points = new Float32Array(), groups = new Int32Array(), names = [], palette = [];
  let centre = [0, 0], scale = 1, lasso = [], chosen = new Set(), cells = new Map(), hovered = -1, drawing = 0;

  async function load() {
    box.classList.add("busy");
    try {
      const [places, grouped] = await Promise.all([
        ask(`/api/map?kind=${kept.kind}&method=${kept.method}`).then(answer => answer.arrayBuffer()),
        askJson(`/api/groups?by=${kept.by}`)]);
      points = new Float32Array(places);
      groups = new Int32Array(bytesOf(grouped.groups).buffer);
      names = grouped.names;
      palette = colours(names.length);
      fit();
      legend();
    } catch (error) { told(error); } finally { box.classList.remove("busy"); }
  }

  function fit() {
    let low = [Infinity, Infinity], high = [-Infinity, -Infinity];
    for (let k = 0; k < points.length; k++) {
      if (Number.isNaN(points[k])) continue;
      low[k % 2] = Math.min(low[k % 2], points[k]);
      high[k % 2] = Math.max(high[k % 2], points[k]);
    }
    if (!(low[0] <= high[0])) { low = [0, 0]; high = [1, 1]; }
    centre = [0, 1].map(k => (low[k] + high[k]) / 2);
    scale = 0.9 * Math.min(canvas.clientWidth / (high[0] - low[0] || 1), canvas.clientHeight / (high[1] - low[1] || 1));
    draw();
  }

  const screenOf = row => [canvas.clientWidth / 2 + (points[2 * row] - centre[0]) * scale, canvas.clientHeight / 2 - (points[2 * row + 1] - centre[1]) * scale];

  function draw() {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(paint);
  }

  function paint() {
    const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight, count = points.length / 2;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    pen.scale(ratio, ratio);
    const size = count > 20000 ? 1.4 : count > 3000 ? 2.2 : 4;
    cells = new Map();
    for (let row = 0; row < count; row++) {
      if (Number.isNaN(points[2 * row])) continue;
      const [x, y] = screenOf(row);
      if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
      pen.fillStyle = palette[groups[row] % palette.length];
      pen.globalAlpha = chosen.size && !chosen.has(row) ? 0.15 : 0.8;
      if (size < 3) pen.fillRect(x - size / 2, y - size / 2, size, size);
      else { pen.beginPath(); pen.arc(x, y, size, 0, 2 * Math.PI); pen.fill(); }
      const cell = `${x >> 4},${y >> 4}`;
      if (cells.has(cell)) cells.get(cell).push(row); else cells.set(cell, [row]);
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--ink");
    if (hovered >= 0) { const [x, y] = screenOf(hovered); pen.lineWidth = 2; pen.beginPath(); pen.arc(x, y, size + 4, 0, 2 * Math.PI); pen.stroke(); }
    if (lasso.length > 1) {
      pen.setLineDash([5, 4]);
      pen.beginPath();
      lasso.forEach(([x, y], k) => (k ? pen.lineTo : pen.moveTo).call(pen, x, y));
      pen.closePath();
      pen.stroke();
    }
  }

  function legend() {
    const shown = names.map((name, k) => [name || "no label", k]).slice(0, 60);
    key.replaceChildren(...shown.map(([name, k]) => {
      const dot = h("i");
      dot.style.background = palette[k % palette.length];
      return h("li", {}, dot, kept.by === "source" ? name.split("/").pop() : name);
    }), names.length > 60 ? h("li", {}, `and ${names.length - 60} more`) : "");
  }

  function nearest(x, y) {
    let best = -1, least = 144;
    for (let across = -1; across <= 1; across++) for (let down = -1; down <= 1; down++) {
      for (const row of cells.get(`${(x >> 4) + across},${(y >> 4) + down}`) ?? []) {
        const [px, py] = screenOf(row), distance = (px - x) ** 2 + (py - y) ** 2;
        if (distance < least) { least = distance; best = row; }
      }
    }
    return best;
  }

  let asked = 0;
  async function look(row, x, y) {
    if (row === hovered) return;
    hovered = row;
    draw();
    clearTimeout(asked);
    if (row < 0) { peek.hidden = true; return; }
    asked = setTimeout(async () => {
      try {
        const moment = await askJson(`/api/rows/${row}`);
        if (row !== hovered) return;
        peek.replaceChildren(h("img", { src: moment.image || moment.media === "image" ? `/api/thumbnails/${row}` : `/api/spectrograms/${row}`, alt: "" }), `${moment.name}${moment.label ? ` · ${moment.label}` : ""}`);
        peek.hidden = false;
        peek.style.left = `${Math.min(x + 14, box.clientWidth - 180)}px`;
        peek.style.top = `${y > box.clientHeight / 2 ? Math.max(y - 185, 0) : y + 14}px`;
      } catch { peek.hidden = true; }
    }, 60);
  }

  const at = event => { const inside = canvas.getBoundingClientRect(); return [event.clientX - inside.left, event.clientY - inside.top]; };
  canvas.addEventListener("pointerdown", event => { canvas.setPointerCapture(event.pointerId); lasso = [at(event)]; });
  canvas.addEventListener("pointermove", event => {
    const [x, y] = at(event);
    if (event.buttons === 1 && lasso.length) { lasso.push([x, y]); draw(); } else look(nearest(x, y), x, y);
  });
  canvas.addEventListener("pointerleave", () => look(-1));
  canvas.addEventListener("pointerup", event => {
    const drawn = lasso, [x, y] = at(event);
    lasso = [];
    if (drawn.length < 8) {
      const row = nearest(x, y);
      chosen = new Set();
      if (row >= 0) location.hash = `#/search/${row}/${kept.kind}`; else listed([]);
    } else {
      const inside = [];
      for (let row = 0; row < points.length / 2; row++) if (!Number.isNaN(points[2 * row]) && within(screenOf(row), drawn)) inside.push(row);
      chosen = new Set(inside);
      listed(inside);
    }
    draw();
  });
  const zoom = (factor, [x, y]) => {
    // What lies below the pointer stays there.
    centre[0] += (x - canvas.clientWidth / 2) / scale * (1 - 1 / factor);
    centre[1] -= (y - canvas.clientHeight / 2) / scale * (1 - 1 / factor);
    scale *= factor;
    draw();
  };
  canvas.addEventListener("wheel", event => { event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), at(event)); }, { passive: false });
  canvas.addEventListener("keydown", event => {
    const middle = [canvas.clientWidth / 2, canvas.clientHeight / 2], step = 60 / scale;
    if (event.key === "+" || event.key === "=") zoom(1.4, middle);
    else if (event.key === "-") zoom(1 / 1.4, middle);
    else if (event.key === "0") fit();
    else if (event.key.startsWith("Arrow")) {
      centre[0] += { ArrowLeft: -step, ArrowRight: step }[event.key] ?? 0;
      centre[1] += { ArrowDown: -step, ArrowUp: step }[event.key] ?? 0;
      draw();
    } else return;
    event.preventDefault();
  });

  async function listed(rows) {
    heading.textContent = rows.length ? `${rows.length.toLocaleString("en")} moments${rows.length > MOST_LISTED ? `, of which the first ${MOST_LISTED}` : ""}` : "";
    try {
      const moments = await Promise.all(rows.slice(0, MOST_LISTED).map(row => askJson(`/api/rows/${row}`)));
      list.replaceChildren(...moments.map(moment => card(moment, { use: of => { location.hash = `#/search/${moment.row}/${of}`; } })));
    } catch (error) { told(error); }
  }

  addEventListener("resize", draw);
  await load();
  return () => { removeEventListener("resize", draw); cancelAnimationFrame(drawing); };
}

/** Whether a point lies within a closed line: how often a ray to the right crosses it. */
function within([x, y], line) {
  let inside = false;
  for (let k = 0, before = line.length - 1; k < line.length; before = k++) {
    const [ax, ay] = line[k], [bx, by] = line[before];
    if ((ay > y) !== (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}
