/* One prompt to several models at once. Text of models is only ever set as text: nothing of it becomes markup. */
import { amount, eachEvent } from "./events.js";

const form = document.getElementById("play"), answers = document.getElementById("answers");
const stop = form.querySelector("[data-stop]");
let running = null;

function card(model) {
  const place = document.createElement("section");
  place.className = "card";
  const head = document.createElement("h2"), text = document.createElement("div"), foot = document.createElement("p");
  head.textContent = model;
  text.className = "answer";
  foot.className = "sub";
  place.append(head, text, foot);
  answers.append(place);
  return { place, text, foot };
}

async function ask(model, given, signal) {
  const { text, foot } = card(model);
  const begun = performance.now();
  const seconds = () => `${((performance.now() - begun) / 1000).toFixed(2)} s`;
  const parts = [];
  const show = () => { foot.textContent = parts.join(" · "); };
  const failed = (message) => { const note = document.createElement("p"); note.className = "bad"; note.textContent = message; text.after(note); };
  try {
    const reply = await fetch("/console/playground/run", { method: "POST", signal, headers: { "content-type": "application/json" }, body: JSON.stringify({ ...given, model }) });
    if (!reply.ok) { failed((await reply.json()).error.message); return; }
    let call = "";
    await eachEvent(reply, (event, data) => {
      if (data === "[DONE]") { parts.push(`${answers.dataset.whole} ${seconds()}`); show(); return; }
      const news = JSON.parse(data);
      if (event === "call") call = news.call;
      else if (event === "refused") failed(news.message);
      else if (event === "price") {
        if (news.currency) {
          parts.push(`${news.input} → ${news.output}`, amount(news.nano, news.currency), news.offer);
          show();
          const link = document.createElement("a");
          link.href = `/console/calls/${encodeURIComponent(news.call)}`;
          link.textContent = news.call;
          foot.append(" · ", link);
        }
      } else {
        if (news.error) failed(news.error.message);
        const piece = news.choices?.[0]?.delta?.content;
        if (piece) {
          if (!text.textContent) { parts.push(`${answers.dataset.first} ${seconds()}`); show(); }
          text.textContent += piece;
        }
      }
    });
    foot.dataset.done = call;
  } catch (error) {
    if (error.name !== "AbortError") failed(answers.dataset.failed);
    foot.dataset.done = "stopped";
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  running?.abort();
  running = new AbortController();
  answers.replaceChildren();
  const fields = new FormData(form);
  const given = { text: fields.get("text"), system: fields.get("system"), account: fields.get("account"), max_tokens: Number(fields.get("max_tokens")) };
  const models = fields.getAll("model").filter(Boolean);
  stop.hidden = false;
  await Promise.all(models.map((model) => ask(model, given, running.signal)));
  stop.hidden = true;
});
stop.addEventListener("click", () => running?.abort());
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  if (event.key === "Escape") running?.abort();
});
