// Search by a file, a recording, a camera, a pasted picture, a vector, or a moment of the collection.
import { askJson, card, choice, h, icon, pages, say, silence, told, upload } from "/page/parts.js";

const PAGE = 60, LONGEST_RECORDING = 10_000;
const kept = { query: null, kind: "audio", of: "image", perFile: "2" };  // stays while other views are looked at

export async function searchView(view, about, rest) {
  const list = h("ol", { class: "cards", "aria-label": "moments" });
  const queryBox = h("div", { "aria-live": "polite" });
  const heading = h("h2");
  const end = h("div", { class: "more" });
  const picker = h("input", { type: "file", hidden: true, accept: "image/*,audio/*,video/*,.npy,.mkv,.flac,.opus", id: "file" });
  const record = h("button", { type: "button", onclick: () => recordSound(record) }, icon("microphone"), "Record a sound");
  picker.addEventListener("change", () => { if (picker.files[0]) take(picker.files[0], picker.files[0].name); picker.value = ""; });
  view.replaceChildren(
    h("div", { class: "bar ways" },
      h("button", { type: "button", class: "main", onclick: () => picker.click() }, icon("file"), "Choose a file"), picker,
      record,
      h("button", { type: "button", onclick: takePicture }, icon("camera"), "Take a picture"),
      h("span", { class: "soft small keys" }, "or drop or paste one, or press “picture” or “sound” below a moment")),
    queryBox, heading, list, end);

  let asking = null;
  const lister = pages(list, end, (_, first) => askJson(`/api/rows?first=${first}&count=${PAGE}`),
    moment => card(moment, { use: of => fromRow(moment, of) }));

  function browse() {
    kept.query = null;
    queryBox.replaceChildren();
    heading.textContent = "All moments";
    lister.show({});
  }

  function fromRow(moment, of) {
    kept.query = { name: moment.name, image: moment.image, audio: moment.audio, row: moment.row, label: moment.label,
      address: `/api/search/${moment.row}`, look: half => half === "image" ? `/api/thumbnails/${moment.row}` : `/api/spectrograms/${moment.row}`, hear: `/api/sounds/${moment.row}` };
    ready(of);
  }

  async function take(blob, name) {
    list.classList.add("busy");
    try {
      const found = await upload(blob, name, about.largest_upload);
      kept.query = { ...found, address: `/api/uploads/${found.key}/search`, hear: `/api/uploads/${found.key}/sound`,
        look: half => found.vector ? null : `/api/uploads/${found.key}/picture?of=${half}` };
      ready(found.image ? "image" : "audio");
    } catch (error) { told(error); } finally { list.classList.remove("busy"); }
  }

  /** A query is there: take the half that it has, and look for the other kind first. */
  function ready(of) {
    kept.of = of;
    const other = of === "image" ? "audio" : "image";
    kept.kind = about.kinds.includes(other) ? other : of;
    scrollTo({ top: 0 });
    search();
  }

  async function search() {
    lister.stop();
    showQuery();
    asking?.abort();  // an older answer must not replace a newer one
    asking = new AbortController();
    list.classList.add("busy");
    try {
      const answer = await askJson(`${kept.query.address}?of=${kept.of}&kind=${kept.kind}&count=36&per_file=${kept.perFile}`, { signal: asking.signal });
      silence();
      heading.replaceChildren(`${kept.kind === "audio" ? "Sounds" : "Pictures"} nearest to it`,
        h("span", { class: "soft small took" }, `found in ${answer.milliseconds < 10 ? answer.milliseconds : Math.round(answer.milliseconds)}\u00a0ms`));
      list.replaceChildren(...answer.found.map((one, k) => card(one, { rank: k + 1, found: one, use: of => fromRow(one, of) })));
      if (!answer.found.length) heading.textContent = "There is nothing else to compare it with";
    } catch (error) { told(error); } finally { list.classList.remove("busy"); }
  }

  function showQuery() {
    const query = kept.query, look = query.look(kept.of);
    const player = query.audio && !query.vector ? new Audio(query.hear) : null;
    queryBox.replaceChildren(h("div", { class: "query" },
      look ? h("img", { class: "look", src: look, alt: kept.of === "image" ? "the picture searched with" : "spectrogram of the sound searched with" }) : null,
      h("div", { class: "grow" },
        h("p", {}, "Searching with ", h("b", {}, query.name), query.label ? ` (${query.label})` : ""),
        h("div", { class: "bar" },
          h("span", { class: "small soft" }, query.vector ? "it is of a" : "by its"),
          choice("of", "which half of it is searched with", [["image", "picture", !query.image && !query.vector], ["audio", "sound", !query.audio && !query.vector]], kept.of, value => { kept.of = value; search(); }),
          h("span", { class: "small soft" }, "for"),
          choice("kind", "what is searched for", [["image", "pictures", !about.kinds.includes("image")], ["audio", "sounds", !about.kinds.includes("audio")]], kept.kind, value => { kept.kind = value; search(); }),
          choice("per-file", "how many moments of one file are listed", [["2", "two of a file"], ["0", "any number"]], kept.perFile, value => { kept.perFile = value; search(); }),
          player ? h("button", { type: "button", onclick: () => { silence(); player.currentTime = 0; player.play(); } }, icon("play"), "hear it") : null,
          h("button", { type: "button", onclick: browse }, icon("close"), "clear")))));
  }

  async function recordSound(button) {
    if (button.recorder) { button.recorder.stop(); return; }
    let stream;
    try { stream = await navigator.mediaDevices.getUserMedia({ audio: true }); }
    catch { say("the microphone cannot be used: allow it for this page (over the network only https pages may)"); return; }
    const recorder = new MediaRecorder(stream), parts = [];
    button.recorder = recorder;
    const text = button.lastChild;
    button.classList.add("recording");
    text.textContent = "Stop, and search";
    recorder.addEventListener("dataavailable", event => parts.push(event.data));
    recorder.addEventListener("stop", () => {
      for (const track of stream.getTracks()) track.stop();
      button.recorder = null;
      button.classList.remove("recording");
      text.textContent = "Record a sound";
      const blob = new Blob(parts, { type: recorder.mimeType });
      take(blob, `recording.${recorder.mimeType.includes("mp4") ? "m4a" : recorder.mimeType.includes("ogg") ? "ogg" : "webm"}`);
    });
    recorder.start();  // a network hears a second or two; nobody should have to remember to stop
    setTimeout(() => { if (recorder.state === "recording") recorder.stop(); }, LONGEST_RECORDING);
  }

  async function takePicture() {
    let stream;
    try { stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }); }
    catch { say("the camera cannot be used: allow it for this page (over the network only https pages may)"); return; }
    const film = h("video", { autoplay: true, playsinline: true, muted: true });
    film.srcObject = stream;
    const dialog = h("dialog", { "aria-label": "camera" }, film,
      h("div", { class: "bar" },
        h("button", { type: "button", class: "main", onclick: () => {
          const canvas = h("canvas", { width: film.videoWidth, height: film.videoHeight });
          canvas.getContext("2d").drawImage(film, 0, 0);
          canvas.toBlob(blob => take(blob, "camera.jpg"), "image/jpeg", 0.92);
          dialog.close();
        } }, icon("camera"), "Take it"),
        h("button", { type: "button", onclick: () => dialog.close() }, "Cancel")));
    dialog.addEventListener("close", () => { for (const track of stream.getTracks()) track.stop(); dialog.remove(); });
    document.body.append(dialog);
    dialog.showModal();
  }

  const paste = event => { const file = event.clipboardData?.files[0]; if (file) take(file, file.name || "pasted.png"); };
  const drop = document.getElementById("drop");
  const over = event => { if (event.dataTransfer?.types.includes("Files")) { event.preventDefault(); drop.hidden = false; } };
  const out = event => { if (event.type === "drop" || !event.relatedTarget) drop.hidden = true; };
  const dropped = event => { event.preventDefault(); out(event); const file = event.dataTransfer.files[0]; if (file) take(file, file.name); };
  const keys = event => { if (event.key === "/" && !event.target.closest("input, select, textarea")) { event.preventDefault(); picker.click(); } };
  const listeners = [["paste", paste], ["dragover", over], ["dragleave", out], ["drop", dropped], ["keydown", keys]];
  for (const [name, listener] of listeners) addEventListener(name, listener);

  const arrows = event => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const stages = [...list.querySelectorAll(".stage")], at = stages.indexOf(document.activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    stages[Math.min(Math.max(at + step, 0), stages.length - 1)].focus();
  };
  list.addEventListener("keydown", arrows);

  if (rest[0] && /^\d+$/.test(rest[0])) {
    try { const moment = await askJson(`/api/rows/${rest[0]}`); fromRow(moment, rest[1] === "audio" && moment.audio || !moment.image ? "audio" : "image"); }
    catch (error) { told(error); browse(); }
  } else if (kept.query) search();
  else browse();

  return () => {
    asking?.abort();
    lister.close();
    record.recorder?.stop();
    drop.hidden = true;
    for (const [name, listener] of listeners) removeEventListener(name, listener);
  };
}
