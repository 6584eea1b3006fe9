// Files that go with the next line: chosen, pasted or dropped; uploaded at once, so that sending takes no time.
import { upload } from "./api.js";
import { $, el, icon } from "./dom.js";
import { fill, kilobytes, words } from "./texts.js";
import { toast } from "./toast.js";

const MIB = 1_048_576;
const MOST_MIB = 20;
const list = $("composer-files");
const RASTER = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const chosen = new Map(); // conversation -> the files that go with its next line
let place = null; // the conversation that is open

const filesOf = (of) => chosen.get(of) ?? [];

function keep(of, files) {
  if (files.length) chosen.set(of, files); else chosen.delete(of);
  draw();
}

const remove = (entry) => keep(entry.place, filesOf(entry.place).filter((each) => each !== entry));

function draw() {
  const files = filesOf(place);
  list.hidden = !files.length;
  list.replaceChildren(...files.map((file) => el("li", { class: file.id ? "" : "busy" },
    file.preview ? el("img", { src: file.preview, alt: "" }) : icon(file.id ? "file" : "sending"),
    el("span", { class: "name" }, file.id ? file.name : fill(words.uploading, { name: file.name })), el("span", { class: "soft" }, kilobytes(file.size)),
    el("button", { type: "button", class: "tool", title: fill(words.removeFile, { name: file.name }), "aria-label": fill(words.removeFile, { name: file.name }), onclick: () => remove(file) }, icon("close")))));
}

function show(file, entry) {
  if (!RASTER.has(file.type) || file.size > 4 * MIB) return;
  const reader = new FileReader();
  reader.addEventListener("load", () => { entry.preview = reader.result; draw(); });
  reader.readAsDataURL(file);
}

async function add(file) {
  if (file.size > MOST_MIB * MIB) { toast(fill(words.tooLarge, { name: file.name, n: MOST_MIB }), { tone: "failed" }); return; }
  const entry = { name: file.name, size: file.size, id: null, preview: "", place };
  keep(place, [...filesOf(place), entry]);
  show(file, entry);
  entry.done = upload(file).then((told) => { entry.id = told.id; entry.name = told.name; }).catch((error) => {
    remove(entry);
    toast(`${fill(words.uploadFailed, { name: entry.name })} ${error.message}`, { tone: "failed" });
  }).finally(draw);
}

export const namesOfFiles = () => filesOf(place).map((file) => file.name);

/** Put files back that are with the server already: their line is written anew. */
export const giveFiles = (of, files) => keep(of, [...filesOf(of), ...files.map((file) => ({ ...file, place: of, preview: "" }))]);

/** Take the files of the open conversation, and return them once all are there, with the names of those that did not arrive. */
export async function takeFiles() {
  const files = filesOf(place); // by the time that they are there another conversation may be open, with files of its own
  keep(place, []);
  await Promise.all(files.map((file) => file.done));
  return {
    files: files.filter((file) => file.id).map(({ id, name, size }) => ({ id, name, size })),
    lost: files.filter((file) => !file.id).map((file) => file.name),
  };
}

/** Show the files of a conversation: each keeps its own. */
export function filesFor(id) {
  if (place === id) return;
  place = id;
  draw();
}

$("composer-file").addEventListener("change", (event) => { [...event.target.files].forEach(add); event.target.value = ""; });
$("composer").addEventListener("paste", (event) => {
  const pasted = [...(event.clipboardData?.files ?? [])];
  if (!pasted.length) return;
  event.preventDefault();
  pasted.forEach(add);
});
for (const name of ["dragover", "dragleave", "drop"]) {
  $("talk").addEventListener(name, (event) => {
    if (!event.dataTransfer?.types.includes("Files") || !place) return;
    event.preventDefault();
    $("talk").classList.toggle("dropping", name === "dragover");
    if (name === "drop") [...event.dataTransfer.files].forEach(add);
  });
}
