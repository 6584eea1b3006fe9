// Files that go with the next line: chosen, pasted or dropped; uploaded at once, so that sending takes no time.
import { upload } from "./api.js";
import { $, el, icon } from "./dom.js";
import { fill, kilobytes, words } from "./texts.js";
import { toast } from "./toast.js";

const MIB = 1_048_576;
const MOST_MIB = 20;
const list = $("composer-files");
const RASTER = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
let files = [];
let place = null; // the conversation that they are for

function draw() {
  list.hidden = !files.length;
  list.replaceChildren(...files.map((file) => el("li", { class: file.id ? "" : "busy" },
    file.preview ? el("img", { src: file.preview, alt: "" }) : icon(file.id ? "file" : "sending"),
    el("span", { class: "name" }, file.id ? file.name : fill(words.uploading, { name: file.name })), el("span", { class: "soft" }, kilobytes(file.size)),
    el("button", { type: "button", class: "tool", title: fill(words.removeFile, { name: file.name }), "aria-label": fill(words.removeFile, { name: file.name }), onclick: () => { files = files.filter((each) => each !== file); draw(); } }, icon("close")))));
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
  files.push(entry);
  show(file, entry);
  draw();
  entry.done = upload(file).then((told) => { entry.id = told.id; entry.name = told.name; }).catch((error) => {
    files = files.filter((each) => each !== entry);
    toast(`${fill(words.uploadFailed, { name: entry.name })} ${error.message}`, { tone: "failed" });
  }).finally(draw);
}

export const hasFiles = () => files.length > 0;

/** Return the uploaded files once all are there, and begin anew. */
export async function takeFiles() {
  await Promise.all(files.map((file) => file.done));
  const found = files.filter((file) => file.id).map(({ id, name, size }) => ({ id, name, size }));
  files = [];
  draw();
  return found;
}

/** Files are of the conversation that they were chosen for. */
export function filesFor(id) {
  if (place !== id) { files = []; draw(); }
  place = id;
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
