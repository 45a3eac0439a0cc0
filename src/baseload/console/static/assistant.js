/* One conversation. What a model says comes as HTML that the server made (Markdown, HTML in it escaped); all else is set as text. */
import { amount, eachEvent } from "./events.js";

const form = document.getElementById("ask"), place = document.getElementById("messages"), tray = document.getElementById("files");
const field = form.elements.text, stop = form.querySelector("[data-act=stop]"), cancel = form.querySelector("[data-act=cancel]");
let running = null, waiting = [], editing = null, chat = Number(place.dataset.chat);

const element = (name, kind, text = "") => { const made = document.createElement(name); made.className = kind; made.textContent = text; return made; };
const atEnd = () => innerHeight + scrollY > document.body.scrollHeight - 160;
const toEnd = () => scrollTo(0, document.body.scrollHeight);
const last = () => Number([...place.querySelectorAll("[data-message]")].pop()?.dataset.message ?? 0);

function bubble(kind) {
  place.querySelector(".empty")?.remove();
  const made = element("article", `said ${kind}`);
  place.append(made);
  return made;
}

async function reload() {
  const reply = await fetch(`/console/assistant/${chat}?part=1`);
  if (reply.ok) place.innerHTML = await reply.text(); // a page's own markup, escaped by the server
}

async function turn(given, shown) {
  running = new AbortController();
  stop.hidden = false;
  const under = given.again || given.parent;
  let cutting = !under && chat !== 0;
  for (const one of [...place.querySelectorAll("[data-message]")]) { // what comes after is on another branch now
    if (cutting) one.remove();
    if (Number(one.dataset.message) === under) { cutting = true; if (given.again && one.classList.contains("assistant")) one.remove(); }
  }
  if (shown !== null) bubble("user").append(element("div", "answer", shown));
  const answer = bubble("assistant"), text = element("div", "prose waiting"), note = element("p", "sub");
  answer.append(text, note);
  toEnd();
  let failed = "", price = null;
  try {
    const reply = await fetch("/console/assistant/send", { method: "POST", signal: running.signal, headers: { "content-type": "application/json" }, body: JSON.stringify(given) });
    if (!reply.ok) failed = (await reply.json()).error.message;
    else await eachEvent(reply, (event, data) => {
      const news = JSON.parse(data), follow = atEnd();
      if (event === "chat") { if (!chat) history.replaceState(null, "", `/console/assistant/${news.chat}`); chat = news.chat; place.dataset.chat = chat; }
      if (event === "begun") note.textContent = `${news.model} · ${news.offer}${news.left_out ? ` · ${form.dataset.out}` : ""}`;
      if (event === "text") { text.innerHTML = news.html || ""; text.classList.remove("waiting"); if (!news.html) text.textContent = "…"; }
      if (event === "refused") failed = news.message;
      if (event === "ended") { stop.hidden = true; price = reload(); }
      if (event === "price") price?.then(() => { const shownPrice = [...place.querySelectorAll("[data-price]")].pop(); if (shownPrice) shownPrice.textContent = `· ${amount(news.nano, news.currency)}`; });
      if (follow) toEnd();
    });
    await price;
  } catch (error) {
    if (error.name !== "AbortError") failed = form.dataset.failed;
  }
  const stopped = running.signal.aborted;
  running = null;
  stop.hidden = true;
  if (stopped && chat) { await new Promise((done) => setTimeout(done, 400)); await reload(); } // it is kept as far as it came
  else if (failed && !price) { text.remove(); answer.append(element("p", "note wrong", failed)); }
  place.dataset.done = String(Number(place.dataset.done ?? 0) + 1);
}

function showFiles() {
  tray.replaceChildren(...waiting.map((file) => {
    const chip = element("button", "small", `${file.name} ×`);
    chip.type = "button";
    chip.addEventListener("click", () => { waiting = waiting.filter((one) => one !== file); showFiles(); });
    return chip;
  }));
  tray.hidden = waiting.length === 0;
}

async function add(list) {
  for (const file of list) {
    const reply = await fetch("/console/assistant/files", { method: "POST", headers: { "content-type": "application/octet-stream", "x-name": encodeURIComponent(file.name || "picture") }, body: file });
    const found = await reply.json();
    if (reply.ok) waiting.push(found);
    else { const said = element("span", "bad", `${file.name}: ${found.error.message}`); tray.hidden = false; showFiles(); tray.append(said); tray.hidden = false; return; }
  }
  showFiles();
}

function edit(message) {
  editing = message;
  field.value = message.querySelector("[data-text]").textContent;
  cancel.hidden = false;
  field.focus();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) return;
  const text = field.value, files = waiting.map((one) => one.id);
  if (!text.trim() && !files.length) return;
  const parent = editing ? Number(editing.dataset.parent) : last();
  const given = { chat, parent, text, files, model: form.elements.model.value, account: form.elements.account.value };
  field.value = "";
  waiting = [];
  editing = null;
  cancel.hidden = true;
  showFiles();
  turn(given, text);
});
form.elements.file.addEventListener("change", () => { add([...form.elements.file.files]); form.elements.file.value = ""; });
form.querySelector("label.button").addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); form.elements.file.click(); } });
field.addEventListener("paste", (event) => { const files = [...event.clipboardData.files]; if (files.length) { event.preventDefault(); add(files); } });
form.addEventListener("dragover", (event) => event.preventDefault());
form.addEventListener("drop", (event) => { event.preventDefault(); add([...event.dataTransfer.files]); });
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape") running?.abort(); });
stop.addEventListener("click", () => running?.abort());
cancel.addEventListener("click", () => { editing = null; field.value = ""; cancel.hidden = true; });
place.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-act]"), message = button?.closest("[data-message]");
  if (!message || running) return;
  if (button.dataset.act === "copy") { navigator.clipboard?.writeText(message.querySelector(".prose")?.innerText ?? ""); button.textContent = "✓"; }
  if (button.dataset.act === "edit") edit(message);
  if (button.dataset.act === "again") turn({ chat, again: Number(message.dataset.message), model: form.elements.model.value, account: form.elements.account.value }, null);
});
