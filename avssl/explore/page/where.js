// Where the sound comes from: heat over a clip while it plays, in step with its sound.
import { askJson, bytesOf, h, icon, say, seconds, silence, told, upload } from "/page/parts.js";

const kept = { opacity: 0.8, threshold: null, row: 0 };

// Magma's colours, alpha rising with them: what nothing is said of stays as it is.
const STOPS = [[0, 0, 4], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]];
function colour(share) {
  const at = share * (STOPS.length - 1), low = Math.min(Math.floor(at), STOPS.length - 2), part = at - low;
  return [0, 1, 2].map(k => STOPS[low][k] + part * (STOPS[low + 1][k] - STOPS[low][k]));
}
const LUT = Array.from({ length: 256 }, (_, k) => colour(k / 255));

export async function whereView(view, about, rest) {
  if (!about.localizes) {
    view.replaceChildren(h("h1", {}, "Where the sound comes from"), h("p", {}, about.cannot_localize));
    return;
  }
  const row = /^\d+$/.test(rest[0] ?? "") ? Number(rest[0]) : kept.row;
  kept.row = row;
  const moment = await askJson(`/api/rows/${row}`);
  if (moment.media === "sound") {
    view.replaceChildren(h("p", {}, `${moment.name} has no pictures. `, h("a", { href: "#/search" }, "Choose another moment.")));
    return;
  }

  const film = h("video", { playsinline: true, controls: true, loop: true, "aria-label": moment.name });
  const canvas = h("canvas", { "aria-hidden": "true" });
  const nothing = h("p", { class: "nothing", hidden: true }, "nothing in the picture is heard");
  const screen = h("div", { class: "screen" }, film, canvas, nothing);
  const trace = h("canvas", { class: "trace", tabindex: "0", role: "slider", "aria-label": "time in the clip; the curve shows how surely something in the picture is heard", "aria-valuemin": "0" });
  const verdict = h("p", { "aria-live": "polite" });
  const picker = h("input", { type: "file", hidden: true, accept: "audio/*,video/*,.flac,.opus" });
  picker.addEventListener("change", () => { if (picker.files[0]) lay(picker.files[0]); picker.value = ""; });

  const opacity = slider("Opacity of the heat", 0, 1, 0.01, kept.opacity, value => { kept.opacity = value; draw(); }, value => `${Math.round(100 * value)} %`);
  const threshold = slider("Threshold: how sure before it counts as heard", -8, 8, 0.05, 0, value => { kept.threshold = value; draw(); drawTrace(); judge(); }, value => value.toFixed(2).replace("-", "−"));
  const own = h("button", { type: "button", hidden: true, onclick: () => { sound = ""; own.hidden = true; load(start, true); } }, "its own sound");
  const reset = h("button", { type: "button", onclick: () => { kept.threshold = null; threshold.set(heat.threshold); draw(); drawTrace(); judge(); } }, "fitted threshold");
  const segmentBar = h("div", { class: "bar" });
  view.replaceChildren(
    h("h1", {}, `Where the sound of ${moment.name} comes from`),
    h("p", { class: "soft small" }, moment.label ? h("span", { class: "chip" }, moment.label) : null, h("span", { class: "keys" }, " space plays and stops, ← → step through time, n and p take the next and previous item")),
    h("div", { class: "where" },
      h("div", {}, screen, trace, verdict, segmentBar),
      h("div", { class: "panel" },
        opacity.box, threshold.box, reset,
        h("p", { class: "soft small" }, about.threshold_fitted_on ? `The run's threshold was fitted on ${about.threshold_fitted_on}.` : "No threshold was fitted for this run: 0 means as likely as not."),
        h("div", { class: "legend", "aria-hidden": "true" }), h("p", { class: "soft small" }, "not from here → certainly from here"),
        h("h2", {}, "Another sound"),
        h("p", { class: "soft small" }, "Drop one on the picture, and see what it would come from."),
        h("div", { class: "bar" }, h("button", { type: "button", onclick: () => picker.click() }, icon("file"), "Choose a sound"), picker, own),
        h("a", { class: "button", href: `#/search/${row}` }, "search with this moment"))));

  const context = canvas.getContext("2d");
  const small = document.createElement("canvas");
  let heat = null, maps = null, sound = "", start = Math.max(moment.seconds - 2, 0), frame = 0, gone = false;

  async function load(from, keepPlaying) {
    silence();
    screen.classList.add("busy");
    verdict.textContent = "listening …";
    const question = `start=${from}&sound=${sound}`;
    try {
      const found = await askJson(`/api/heat/${row}?${question}`);
      if (gone) return;
      heat = found;
      start = found.start;
      maps = bytesOf(found.maps);
      small.width = found.columns;
      small.height = found.rows;
      const lowest = Math.min(...found.scores, found.threshold) - 1, highest = Math.max(...found.scores, found.threshold) + 1;
      threshold.range(lowest, highest);
      threshold.set(kept.threshold ?? found.threshold);
      film.style.aspectRatio = `${found.width} / ${found.height}`;  // its place, before it is there
      film.src = `/api/segments/${row}?${question}`;
      if (keepPlaying) film.play().catch(() => {});
      drawTrace();
      judge();
      segments();
    } catch (error) {
      verdict.textContent = error.message;
      told(error);
    } finally { screen.classList.remove("busy"); }
  }

  const limit = () => kept.threshold ?? heat.threshold;
  const isHeard = k => heat.audible[k] && heat.scores[k] >= limit();

  function judge() {
    const share = heat.scores.filter((_, k) => isHeard(k)).length / heat.scores.length;
    verdict.textContent = !heat.audible.some(Boolean) ? "The sound is silent throughout: nothing is heard."
      : share < 0.05 ? "Nothing audible is in the picture: no place answers to the sound."
      : `Something in the picture is heard ${Math.round(100 * share)} % of the time.`;
  }

  /** Between which two maps a time lies, and how far: (before, after, share). */
  function around(time) {
    const times = heat.times;
    let after = times.findIndex(t => t >= time);
    if (after < 0) after = times.length - 1;
    const before = Math.max(after - 1, 0);
    const span = times[after] - times[before];
    return [before, after, span > 0 ? Math.min(Math.max((time - times[before]) / span, 0), 1) : 0];
  }

  function draw() {
    // The film lies within its element as "contain" lays it.
    const box = film.getBoundingClientRect(), outer = screen.getBoundingClientRect();
    const scale = Math.min(box.width / (film.videoWidth || 4), box.height / (film.videoHeight || 3));
    const width = (film.videoWidth || 4) * scale, height = (film.videoHeight || 3) * scale;
    canvas.style.left = `${box.left - outer.left + (box.width - width) / 2}px`;
    canvas.style.top = `${box.top - outer.top + (box.height - height) / 2}px`;
    if (canvas.width !== Math.round(width) || canvas.height !== Math.round(height)) {
      canvas.width = Math.round(width);
      canvas.height = Math.round(height);
    }
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!heat) return;
    const [before, after, share] = around(film.currentTime);
    const heard = isHeard(share < 0.5 ? before : after);
    nothing.hidden = heard;
    if (!heard) return;
    const score = (1 - share) * heat.scores[before] + share * heat.scores[after];
    const sure = 1 / (1 + Math.exp(-(score - limit())));
    const cells = heat.rows * heat.columns, mixed = new Float32Array(cells);
    const [first, second] = [(1 - share) * heat.largest[before], share * heat.largest[after]];
    let largest = 1e-9, best = 0;
    for (let k = 0; k < cells; k++) {
      mixed[k] = first * maps[before * cells + k] + second * maps[after * cells + k];
      if (mixed[k] > largest) { largest = mixed[k]; best = k; }
    }
    // Drawn as small as the map is and then enlarged: the browser's own smoothing is the fastest.
    const picture = new ImageData(heat.columns, heat.rows);
    for (let k = 0; k < cells; k++) {
      let level = Math.min(mixed[k] / largest, 1);
      level = level * level * (3 - 2 * level) * (0.35 + 0.65 * sure);  // a soft step, as in the film of avssl localize
      const [red, green, blue] = LUT[Math.round(255 * level)];
      picture.data.set([red, green, blue, Math.round(255 * level)], 4 * k);
    }
    small.getContext("2d").putImageData(picture, 0, 0);
    context.globalAlpha = kept.opacity;
    context.imageSmoothingQuality = "high";
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
    context.globalAlpha = 1;
    const x = ((best % heat.columns) + 0.5) / heat.columns * canvas.width;
    const y = (Math.floor(best / heat.columns) + 0.5) / heat.rows * canvas.height;
    const radius = Math.max(Math.min(canvas.width, canvas.height) / 28, 5);
    for (const [colour, grown] of [["#000a", 1.5], ["#fff", 0]]) {
      context.beginPath();
      context.arc(x, y, radius + grown, 0, 2 * Math.PI);
      context.strokeStyle = colour;
      context.lineWidth = 2;
      context.stroke();
    }
  }

  function drawTrace() {
    if (!heat) return;
    const ratio = devicePixelRatio || 1, width = trace.clientWidth, height = trace.clientHeight;
    trace.width = width * ratio;
    trace.height = height * ratio;
    const pen = trace.getContext("2d"), style = getComputedStyle(document.documentElement);
    pen.scale(ratio, ratio);
    const pad = 8, x = time => time / heat.seconds * width;
    const y = share => height - pad - share * (height - 2 * pad);
    const sure = heat.scores.map((score, k) => heat.audible[k] ? 1 / (1 + Math.exp(-(score - limit()))) : 0);
    pen.fillStyle = style.getPropertyValue("--warm") + "33";
    let left = null;
    heat.times.forEach((time, k) => {
      const begins = k ? (heat.times[k - 1] + time) / 2 : 0;
      if (isHeard(k)) left ??= begins;
      else if (left !== null) { pen.fillRect(x(left), 0, x(begins) - x(left), height); left = null; }
    });
    if (left !== null) pen.fillRect(x(left), 0, width - x(left), height);
    pen.strokeStyle = style.getPropertyValue("--soft");
    pen.setLineDash([4, 4]);  // the threshold
    pen.beginPath(); pen.moveTo(0, y(0.5)); pen.lineTo(width, y(0.5)); pen.stroke();
    pen.setLineDash([]);
    pen.strokeStyle = style.getPropertyValue("--warm");
    pen.lineWidth = 2;
    pen.lineJoin = "round";
    pen.beginPath();
    sure.forEach((share, k) => (k ? pen.lineTo : pen.moveTo).call(pen, x(heat.times[k]), y(share)));
    pen.stroke();
    pen.strokeStyle = style.getPropertyValue("--ink");
    pen.lineWidth = 1.5;
    pen.beginPath(); pen.moveTo(x(film.currentTime), 0); pen.lineTo(x(film.currentTime), height); pen.stroke();
    trace.setAttribute("aria-valuemax", heat.seconds.toFixed(1));
    trace.setAttribute("aria-valuenow", film.currentTime.toFixed(1));
    trace.setAttribute("aria-valuetext", `${seconds(start + film.currentTime)}, ${nothing.hidden ? "heard" : "not heard"}`);
  }

  function segments() {
    const length = moment.duration || heat.seconds;
    const there = h("span", { class: "soft small" }, `${seconds(start)} to ${seconds(start + heat.seconds)} of ${seconds(length)}`);
    segmentBar.replaceChildren(
      h("button", { type: "button", disabled: start < 0.05, onclick: () => load(Math.max(start - heat.seconds, 0), !film.paused) }, icon("back"), "earlier"),
      there,
      h("button", { type: "button", disabled: start + heat.seconds > length - 0.2, onclick: () => load(start + heat.seconds, !film.paused) }, "later", icon("next")));
    segmentBar.hidden = length <= heat.seconds + 0.2;
  }

  async function lay(file) {
    try {
      const found = await upload(file, file.name, about.largest_upload);
      if (!found.audio) throw new Error(`${found.name} has no sound`);
      sound = found.key;
      own.hidden = false;
      kept.threshold = null;
      await load(start, true);
    } catch (error) { told(error); }
  }

  const seek = event => {
    if (event.buttons !== 1 && event.type !== "pointerdown") return;
    const box = trace.getBoundingClientRect();
    film.currentTime = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * heat.seconds;
  };
  trace.addEventListener("pointerdown", seek);
  trace.addEventListener("pointermove", seek);
  const tick = () => {
    draw();
    drawTrace();
    frame = requestAnimationFrame(tick);
  };
  film.addEventListener("play", () => { cancelAnimationFrame(frame); tick(); });
  film.addEventListener("pause", () => cancelAnimationFrame(frame));
  for (const name of ["seeked", "loadeddata", "timeupdate"]) film.addEventListener(name, () => { draw(); drawTrace(); });

  const over = event => { if (event.dataTransfer?.types.includes("Files")) { event.preventDefault(); screen.classList.add("over"); } };
  const out = () => screen.classList.remove("over");
  const dropped = event => { event.preventDefault(); out(); if (event.dataTransfer.files[0]) lay(event.dataTransfer.files[0]); };
  const keys = event => {
    if (event.target.closest("input, select, textarea, button, a") && event.target !== trace) return;
    const step = { ArrowRight: 0.1, ArrowLeft: -0.1 }[event.key];
    if (event.key === " " && event.target !== film) film.paused ? film.play() : film.pause();
    else if (step) film.currentTime = Math.min(Math.max(film.currentTime + step, 0), heat?.seconds ?? 0);
    else if (event.key === "n" || event.key === "p") neighbour(event.key === "n" ? 1 : -1);
    else return;
    event.preventDefault();
  };
  async function neighbour(step) {
    // Moments of one item lie beside each other: on to the next that begins another.
    // A page of rows on either side is enough for items of up to two hundred moments.
    const first = Math.max(step > 0 ? row + 1 : row - 200, 0);
    try {
      const rows = await askJson(`/api/rows?first=${first}&count=${step > 0 ? 200 : row - first}`);
      const others = rows.filter(one => one.name !== moment.name && one.media !== "sound");
      const found = step > 0 ? others[0] : others.at(-1);
      if (found) location.hash = `#/where/${found.row}`;
      else say("there is no other item this way");
    } catch (error) { told(error); }
  }
  const resized = () => { draw(); drawTrace(); };
  const listeners = [["dragover", over], ["dragleave", out], ["drop", dropped], ["keydown", keys], ["resize", resized]];
  for (const [name, listener] of listeners) addEventListener(name, listener);
  await load(start, false);
  return () => {
    gone = true;
    cancelAnimationFrame(frame);
    film.pause();
    for (const [name, listener] of listeners) removeEventListener(name, listener);
  };
}

function slider(text, low, high, step, value, change, format) {
  const output = h("output", {}, format(value));
  const input = h("input", { type: "range", min: low, max: high, step, value, "aria-label": text, oninput: () => { output.textContent = format(Number(input.value)); change(Number(input.value)); } });
  return {
    box: h("div", { class: "field" }, h("label", {}, text, output), input),
    set(next) { input.value = next; output.textContent = format(next); },
    range(least, most) { input.min = least; input.max = most; },
  };
}
