// Speaks to a gateway with the unmodified `openai` package; prints one JSON line per exchange.
import OpenAI from "openai";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "Name a colour." }];

const plain = await client.chat.completions.create({ model, messages, max_tokens: 12 }).withResponse();
console.log(JSON.stringify({
  kind: "plain",
  text: plain.data.choices[0].message.content,
  usage: plain.data.usage,
  call: plain.response.headers.get("x-baseload-call-id"),
}));

for (const asked of [true, false]) {
  const { data, response } = await client.chat.completions
    .create({ model, messages, max_tokens: 12, stream: true, ...(asked ? { stream_options: { include_usage: true } } : {}) })
    .withResponse();
  let text = "", usage = null, empty = 0;
  for await (const chunk of data) {
    text += chunk.choices[0]?.delta?.content ?? "";
    if (chunk.choices.length === 0) empty += 1;
    if (chunk.usage) usage = chunk.usage;
  }
  console.log(JSON.stringify({ kind: asked ? "stream+usage" : "stream", text, usage, empty, call: response.headers.get("x-baseload-call-id") }));
}

try {
  await client.chat.completions.create({ model: "nobody", messages });
} catch (error) {
  console.log(JSON.stringify({ kind: "error", name: error.constructor.name, status: error.status, code: error.code }));
}
