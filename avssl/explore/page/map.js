// All moments in two dimensions: hover to see one, press to search with it, draw around some to list them.
import { ask, askJson, bytesOf, card, choice, h, pages, told } from "/page/parts.js";
import { Points, colours, paint } from "/page/points.js";

const NAMED = 60, REACH = 12, PAGE = 60;
const kept = { kind: null, by: "label", method: "pca" };

export async function mapView(view, about) {
  kept.kind ??= about.kinds[0];
  const canvas = h("canvas", { tabindex: "0", role: "img", "aria-label": "map of all moments; draw around some with the mouse to list them, or press + and − to zoom, arrows to move" });
  const peek = h("div", { class: "peek", hidden: true });
  const key = h("ul", { class: "key", "aria-label": "colours" });
  const heading = h("h2"), list = h("ol", { class: "cards" }), end = h("div", { class: "more" });
  const box = h("div", { class: "mapbox" }, canvas, peek);
  view.replaceChildren(
    h("div", { class: "bar" },
      choice("map-kind", "which half of the moments", [["image", "pictures", !about.kinds.includes("image")], ["audio", "sounds", !about.kinds.includes("audio")]], kept.kind, value => { kept.kind = value; load(); }),
      h("span", { class: "soft small" }, "coloured by"),
      choice("map-by", "coloured by", [["label", "label", !about.labels.length], ["source", "source"], ["time", "time"]], about.labels.length || kept.by !== "label" ? kept.by : (kept.by = "source"), value => { kept.by = value; load(); }),
      about.umap ? choice("map-method", "laid out by", [["pca", "PCA"], ["umap", "UMAP"]], kept.method, value => { kept.method = value; load(); }) : null),
    box,
    h("p", { class: "soft small hint" }, "Draw around some to list them, press one to search with it. Pinch",
      h("span", { class: "keys" }, ", wheel or + −"), " to zoom", h("span", { class: "keys" }, "; shift and drag, or arrows, to move; 0 to show all"), "."),
    key, heading, list, end);

  const pen = canvas.getContext("2d");
  let points = new Points(new Float32Array()), groups = new Int32Array(), names = [], palette = colours(0);
  let centre = [0, 0], scale = 1, picture = null, isPainted = false, drawing = 0;
  let lasso = [], chosen = null, hovered = -1, asking = null;

  async function load() {
    asking?.abort();
    const mine = asking = new AbortController();
    box.classList.add("busy");
    try {
      const [places, grouped] = await Promise.all([
        ask(`/api/map?kind=${kept.kind}&method=${kept.method}`, mine).then(answer => answer.arrayBuffer()),
        askJson(`/api/groups?by=${kept.by}`, mine)]);
      points = new Points(new Float32Array(places));
      groups = new Int32Array(bytesOf(grouped.groups).buffer);
      names = grouped.names;
      palette = colours(grouped.count);
      chosen = null;
      fit();
      legend(grouped.count);
    } catch (error) { told(error); } finally { if (mine === asking) box.classList.remove("busy"); }
  }

  function fit() {
    centre = [0, 1].map(k => (points.low[k] + points.high[k]) / 2);
    scale = 0.9 * Math.min(canvas.clientWidth / points.span[0], canvas.clientHeight / points.span[1]);
    repaint();
  }

  // Points are painted anew only where they moved; the ring and the line lie over the picture of before.
  function repaint() { isPainted = false; draw(); }
  function draw() {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(show);
  }

  const place = ([x, y]) => [centre[0] + (x - canvas.clientWidth / 2) / scale, centre[1] - (y - canvas.clientHeight / 2) / scale];
  const screen = row => [canvas.clientWidth / 2 + (points.places[2 * row] - centre[0]) * scale, canvas.clientHeight / 2 - (points.places[2 * row + 1] - centre[1]) * scale];
  const radius = () => points.count > 20000 ? 1 : points.count > 3000 ? 2 : 4;

  function show() {
    const ratio = devicePixelRatio || 1, width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height || !picture) {
      canvas.width = width;
      canvas.height = height;
      picture = pen.createImageData(width, height);
      isPainted = false;
    }
    const style = getComputedStyle(box);
    if (!isPainted) {
      const ground = style.backgroundColor.match(/\d+/g).slice(0, 3).map(Number);
      paint(picture, ground, points, { scale: scale * ratio, centre }, palette, groups, chosen, radius() * ratio);
      isPainted = true;
    }
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.putImageData(picture, 0, 0);
    pen.scale(ratio, ratio);
    pen.strokeStyle = style.color;
    pen.lineWidth = 2;
    if (hovered >= 0) { const [x, y] = screen(hovered); pen.setLineDash([]); pen.beginPath(); pen.arc(x, y, radius() + 4, 0, 2 * Math.PI); pen.stroke(); }
    if (lasso.length > 1) {
      pen.setLineDash([5, 4]);
      pen.beginPath();
      lasso.forEach(([x, y], k) => (k ? pen.lineTo : pen.moveTo).call(pen, x, y));
      pen.closePath();
      pen.stroke();
    }
  }

  function legend(count) {
    if (count > NAMED) {  // nobody tells so many colours apart
      key.replaceChildren(h("li", {}, `${count.toLocaleString("en")} ${kept.by}s, a colour each; point at one to see which it is of`));
      return;
    }
    const shown = names.map(name => name || "no label");
    key.replaceChildren(...shown.map((name, k) => {
      const dot = h("i");
      dot.style.background = `rgb(${palette[k % palette.length].join(" ")})`;
      return h("li", {}, dot, kept.by === "source" ? name.split("/").pop() : name);
    }));
  }

  let waiting = 0;
  function look(row, x, y) {
    if (row === hovered) return;
    hovered = row;
    draw();
    clearTimeout(waiting);
    if (row < 0) { peek.hidden = true; return; }
    waiting = setTimeout(async () => {
      try {
        const moment = await askJson(`/api/rows/${row}`);
        if (row !== hovered) return;
        peek.replaceChildren(h("img", { src: moment.image ? `/api/thumbnails/${row}` : `/api/spectrograms/${row}`, alt: "" }), `${moment.name}${moment.label ? ` · ${moment.label}` : ""}`);
        peek.hidden = false;
        peek.style.left = `${Math.max(Math.min(x + 14, box.clientWidth - 180), 0)}px`;
        peek.style.top = `${y > box.clientHeight / 2 ? Math.max(y - 185, 0) : y + 14}px`;
      } catch { peek.hidden = true; }
    }, 60);
  }
  const nearest = at => points.nearest(...place(at), REACH / scale);

  function zoom(factor, at) {
    const [x, y] = place(at);  // what lies there stays there
    scale *= factor;
    centre = [x - (at[0] - canvas.clientWidth / 2) / scale, y + (at[1] - canvas.clientHeight / 2) / scale];
    repaint();
  }
  function move(x, y) {
    centre = [centre[0] - x / scale, centre[1] + y / scale];
    repaint();
  }

  const touches = new Map();  // where each finger or the mouse is
  const at = event => { const inside = canvas.getBoundingClientRect(); return [event.clientX - inside.left, event.clientY - inside.top]; };
  canvas.addEventListener("pointerdown", event => {
    canvas.setPointerCapture(event.pointerId);
    touches.set(event.pointerId, at(event));
    lasso = touches.size === 1 && !event.shiftKey && event.button === 0 ? [at(event)] : [];  // a second finger: no line
  });
  canvas.addEventListener("pointermove", event => {
    const now = at(event), before = touches.get(event.pointerId);
    if (!before) { look(nearest(now), ...now); return; }
    touches.set(event.pointerId, now);
    if (lasso.length) { lasso.push(now); draw(); return; }
    const other = [...touches].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const length = point => Math.max(Math.hypot(point[0] - other[0], point[1] - other[1]), 1);
      zoom(length(now) / length(before), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
      move((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    } else move(now[0] - before[0], now[1] - before[1]);
  });
  canvas.addEventListener("pointerleave", () => look(-1));
  canvas.addEventListener("pointercancel", event => { touches.delete(event.pointerId); lasso = []; draw(); });
  canvas.addEventListener("pointerup", event => {
    touches.delete(event.pointerId);
    const drawn = lasso, now = at(event);
    lasso = [];
    if (!drawn.length) return;
    const reach = Math.max(...drawn.map(([x, y]) => Math.hypot(x - drawn[0][0], y - drawn[0][1])));
    if (reach < 6) {  // a press, not a line
      const row = nearest(now);
      if (row >= 0) { location.hash = `#/search/${row}/${kept.kind}`; return; }
      listed([]);
    } else listed(points.within(drawn.map(place)));
  });
  canvas.addEventListener("wheel", event => { event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), at(event)); }, { passive: false });
  canvas.addEventListener("keydown", event => {
    const middle = [canvas.clientWidth / 2, canvas.clientHeight / 2];
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (event.key === "+" || event.key === "=") zoom(1.4, middle);
    else if (event.key === "-") zoom(1 / 1.4, middle);
    else if (event.key === "0") fit();
    else if (event.key === "Escape") listed([]);
    else if (step) move(...step);
    else return;
    event.preventDefault();
  });

  const lister = pages(list, end, async (rows, first) => {
    const some = rows.slice(first, first + PAGE);
    return some.length ? askJson(`/api/rows?rows=${some.join(",")}`) : [];
  }, moment => card(moment, { use: of => { location.hash = `#/search/${moment.row}/${of}`; } }));

  function listed(rows) {
    chosen = rows.length ? new Uint8Array(points.count) : null;
    for (const row of rows) chosen[row] = 1;
    heading.textContent = rows.length ? `${rows.length.toLocaleString("en")} moments` : "";
    lister.show(rows);
    repaint();
  }

  addEventListener("resize", repaint);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", repaint);
  await load();
  return () => {
    asking?.abort();
    lister.close();
    removeEventListener("resize", repaint);
    scheme.removeEventListener("change", repaint);
    cancelAnimationFrame(drawing);
  };
}
