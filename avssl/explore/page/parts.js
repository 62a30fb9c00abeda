// Pieces that all views are made of. Texts are set as texts, never as HTML: names of files may hold anything.

/** An element: h("p", { class: "soft", onclick }, "text", child, …); null children are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined));
  return element;
}

const AHEAD = 600;  // pixels before its end is seen, a list asks for more

const PATHS = {
  file: "M14 3v5h5M14 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8z",
  microphone: "M12 3a3 3 0 0 1 3 3v6a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM6 11v1a6 6 0 0 0 12 0v-1M12 18v3",
  camera: "M4 8h3l2-3h6l2 3h3v11H4zM12 17a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z",
  play: "M8 5v14l11-7z",
  close: "M6 6l12 12M18 6L6 18",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

let hiding = 0;
/** One line at the foot of the page, for some seconds. */
export function say(text) {
  const box = document.getElementById("message");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { box.hidden = true; }, 3000 + 60 * text.length);
}

/** An answer of the server; what it refuses becomes an Error with its line. */
export async function ask(address, options = {}) {
  let response;
  try {
    response = await fetch(address, { ...options, headers: { "X-Avssl": "1", ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("avssl explore does not answer; is it still running?");
  }
  if (!response.ok) {
    let text = `${response.status} ${response.statusText}`;
    try { text = (await response.json()).error ?? text; } catch { /* no JSON: the status must do */ }
    throw new Error(text);
  }
  return response;
}

export const askJson = async (address, options) => (await ask(address, options)).json();

/** Give the server a file to search with or to lay under a film; what is far too large does not even travel. */
export async function upload(file, name, largest) {
  if (file.size > largest) throw new Error(`${name} has ${Math.ceil(file.size / 2 ** 20)} MB; at most ${largest >> 20} MB can be uploaded: cut out the seconds that you mean`);
  say(`reading ${name} …`);
  const found = await askJson(`/api/uploads?name=${encodeURIComponent(name)}`, { method: "POST", body: file });
  document.getElementById("message").hidden = true;
  return found;
}

/** What a view does with an error: said, unless the question itself was withdrawn. */
export function told(error) {
  if (error.name !== "AbortError") say(error.message);
}

export function seconds(value) {
  const minutes = Math.floor(value / 60), rest = value - 60 * minutes;
  return minutes ? `${minutes}:${rest.toFixed(1).padStart(4, "0")}` : `${rest.toFixed(1)} s`;
}

/** The score's meaning: how it lies among unrelated pairs. */
export function meaning(found) {
  if (found.share_below === null) return `cosine ${found.score.toFixed(2)}`;
  const percent = 100 * found.share_below;
  const text = percent >= 99.95 ? "all" : `${percent.toFixed(percent > 99 || percent < 1 ? 1 : 0)} %`;
  return `closer than ${text} of unrelated pairs · ${found.score.toFixed(2)}`;
}

export function bytesOf(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  return bytes;
}

/** A choice of a few: radio buttons that look like one switch. */
export function choice(name, label, options, chosen, change) {
  const box = h("div", { class: "switch", role: "radiogroup", "aria-label": label });
  for (const [value, text, disabled] of options) {
    const input = h("input", { type: "radio", name, value, checked: value === chosen, disabled: Boolean(disabled), onchange: () => change(value) });
    box.append(h("label", {}, input, text));
  }
  return box;
}

/**
 * A list that is loaded page by page as it is scrolled.
 *
 * list: the element of the cards. end: an element behind it, whose coming into view asks for more.
 * load: async (what, first) => the next page of what was given to show(), an empty one at its end. make: item => card.
 */
export function pages(list, end, load, make) {
  let what = null, first = 0, busy = false;
  async function more() {
    if (what === null || busy) return;
    const mine = what;
    busy = true;
    try {
      while (what === mine && end.getBoundingClientRect().top < innerHeight + AHEAD) {
        const page = await load(mine, first);
        if (what !== mine) break;
        first += page.length;
        list.append(...page.map(make));
        if (!page.length) { what = null; break; }
      }
    } catch (error) { if (what === mine) { what = null; told(error); } } finally { busy = false; }
    if (what !== null && what !== mine) more();  // something else was asked for meanwhile
  }
  const watch = new IntersectionObserver(entries => { if (entries.some(entry => entry.isIntersecting)) more(); }, { rootMargin: `${AHEAD}px` });
  watch.observe(end);
  return {
    /** Begin anew with this, which must be another object each time; null ends the list. */
    show(next) { what = next; first = 0; list.replaceChildren(); more(); },
    /** No more pages; what is there stays. */
    stop() { what = null; },
    close() { what = null; watch.disconnect(); },
  };
}

let playing = null;
/** Stop what plays, so that two films are never heard at once. */
export function silence(but = null) {
  if (playing && playing !== but) playing.stop();
  playing = but;
}

/** A moment as a card: its frame, which plays in place when pressed, and what can be done with it. */
export function card(moment, { rank = null, found = null, use = null } = {}) {
  const what = `${moment.name} at ${seconds(moment.seconds)}`;
  const stage = h("button", { class: "stage", type: "button", "aria-label": `play ${what}` });
  const still = () => {
    stage.replaceChildren(...[
      moment.image || moment.media === "image"
        ? h("img", { src: `/api/thumbnails/${moment.row}`, alt: what, loading: "lazy" })
        : h("img", { src: `/api/spectrograms/${moment.row}`, alt: `spectrogram of ${what}`, loading: "lazy" }),
      found && found.kind === "audio" && moment.image ? h("img", { class: "sound", src: `/api/spectrograms/${moment.row}`, alt: "", loading: "lazy" }) : null,
      moment.media === "image" ? null : h("span", { class: "play" }, icon("play")),
      rank === null ? null : h("span", { class: "rank" }, String(rank)),
    ].filter(Boolean));
    stage.setAttribute("aria-label", `play ${what}`);
  };
  const me = { stop: () => { const film = stage.querySelector("video, audio"); if (film) film.pause(); still(); } };
  stage.addEventListener("click", () => {
    if (moment.media === "image") return;
    if (stage.querySelector("video, audio")) { silence(); return; }
    silence(me);
    const film = moment.media === "sound"
      ? h("audio", { src: `/api/sounds/${moment.row}`, autoplay: true })
      : h("video", { src: `/api/clips/${moment.row}`, autoplay: true, playsinline: true });
    film.addEventListener("ended", () => silence());
    film.addEventListener("error", async () => {
      silence();
      try { await ask(film.getAttribute("src")); } catch (error) { told(error); }
    });
    if (moment.media === "sound") stage.append(film); else stage.replaceChildren(film);
    stage.setAttribute("aria-label", `stop ${what}`);
  });
  still();
  const acts = h("div", { class: "acts" });
  if (use && moment.image) acts.append(h("button", { type: "button", onclick: () => use("image"), title: "search with this picture" }, "picture"));
  if (use && moment.audio) acts.append(h("button", { type: "button", onclick: () => use("audio"), title: "search with this sound" }, "sound"));
  if (moment.image) acts.append(h("a", { class: "button", href: `#/where/${moment.row}`, title: "where its sound comes from" }, "where"));
  return h("li", { class: "card" }, stage,
    h("div", { class: "text" },
      h("span", { class: "name", title: moment.name }, moment.name),
      h("span", { class: "facts" }, seconds(moment.seconds), moment.label ? h("span", { class: "chip" }, moment.label) : null),
      moment.outdated ? h("span", { class: "warn" }, moment.outdated) : null,
      found ? h("div", { class: "meter", "aria-hidden": "true" }, bar(found)) : null,
      found ? h("span", { class: "facts" }, meaning(found)) : null,
      acts));
}

function bar(found) {
  const filled = h("i");
  const share = found.share_below ?? (found.score + 1) / 2;
  filled.style.width = `${Math.max(100 * share, 1)}%`;
  return filled;
}
