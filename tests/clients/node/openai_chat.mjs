// The `openai` package, chat completions.
import OpenAI from "openai";
import { FILL, PLAIN, PNG, SCHEMA, SEE, SYSTEM, THINK, TOOLS, USE, callOf, droppedOf, tell, toolSchema } from "./common.mjs";

const NAME = "openai.chat";
const tools = Object.entries(TOOLS).map(([name, { what }]) => ({
  type: "function",
  function: { name, description: what, parameters: toolSchema(name) },
}));

export async function run({ base, key, doors, faults }) {
  let heard; // the last response: the library's stream runner does not show it
  const listen = async (...request) => (heard = await fetch(...request));
  const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 0, fetch: listen });
  const chat = client.chat.completions;

  // One exchange, whole or streamed and folded by the library.
  async function ask(body, stream) {
    if (!stream) {
      const { data, response } = await chat.create(body).withResponse();
      return [data.choices[0], usageOf(data.usage), response];
    }
    const runner = chat.stream({ ...body, stream_options: { include_usage: true } });
    const thought = [], details = [];
    runner.on("chunk", (chunk) => {
      const delta = chunk.choices[0]?.delta ?? {};
      thought.push(delta.reasoning_content ?? "");
      details.push(...(delta.reasoning_details ?? []));
    });
    const done = await runner.finalChatCompletion();
    // The library concatenates what it knows; the members of thinking are the caller's to gather, as agents do.
    const message = { ...done.choices[0].message, reasoning_content: thought.join(""), ...(details.length ? { reasoning_details: details } : {}) };
    return [{ ...done.choices[0], message }, usageOf(done.usage), heard];
  }

  async function withTools(door, text, more, stream) {
    const messages = [{ role: "system", content: SYSTEM }, { role: "user", content: text }];
    const body = { model: door, messages, tools, max_completion_tokens: 2048, ...more };
    const [choice, , first] = await ask(body, stream);
    const { tool_calls: called = [], reasoning_content, reasoning_details, content } = choice.message;
    messages.push({ role: "assistant", content, tool_calls: called.map(({ id, type, function: { name, arguments: args } }) => ({ id, type, function: { name, arguments: args } })),
      ...(reasoning_content ? { reasoning_content } : {}), ...(reasoning_details ? { reasoning_details } : {}) });
    for (const { id, function: { name } } of called) messages.push({ role: "tool", tool_call_id: id, content: TOOLS[name].answer });
    const [end, usage, second] = await ask(body, stream);
    return {
      finish: choice.finish_reason, thought: reasoning_content ?? "", signed: (reasoning_details ?? []).length > 0,
      tools: called.map(({ id, function: { name, arguments: args } }) => ({ id, name, args: JSON.parse(args) })),
      text: end.message.content, last: end.finish_reason, usage, call: callOf(second.headers),
      dropped: [droppedOf(first.headers), droppedOf(second.headers)],
    };
  }

  const users = (content) => [{ role: "user", content }];
  for (const door of doors) {
    for (const stream of [false, true]) {
      const named = (name) => (stream ? `${name}, streamed` : name);
      const one = async (body) => {
        const [choice, usage, response] = await ask({ model: door, max_completion_tokens: 256, ...body }, stream);
        return { text: choice.message.content, finish: choice.finish_reason, usage, call: callOf(response.headers), dropped: [droppedOf(response.headers)] };
      };
      await tell(NAME, door, named("plain"), () => one({ messages: [{ role: "system", content: SYSTEM }, ...users(PLAIN)], temperature: 0.5 }));
      await tell(NAME, door, named("short"), () => one({ messages: users("words=40"), max_completion_tokens: 5 }));
      await tell(NAME, door, named("image"), () =>
        one({ messages: users([{ type: "text", text: SEE }, { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } }]) }));
      await tell(NAME, door, named("tools"), () => withTools(door, USE, {}, stream));
      await tell(NAME, door, named("think"), () => withTools(door, THINK, { reasoning_effort: "low" }, stream));
      await tell(NAME, door, named("schema"), async () => {
        const format = { type: "json_schema", json_schema: { name: "fruit", schema: SCHEMA, strict: true } };
        const seen = await one({ messages: users(FILL), response_format: format });
        return { ...seen, value: JSON.parse(seen.text) };
      });
    }
  }
  for (const { name, model } of faults) {
    for (const stream of [false, true]) {
      await tell(NAME, model, stream ? "error, streamed" : "error", async () => {
        const seen = await chat.create({ model, messages: users(PLAIN), stream });
        let text = "";
        if (stream) for await (const chunk of seen) text += chunk.choices[0]?.delta?.content ?? "";
        return { fault: name, text };
      });
    }
  }
}

export async function retry({ base, key }, door) {
  const patient = new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 2 });
  await tell(NAME, door, "retry", async () => {
    const reply = await patient.chat.completions.create({ model: `flaky-${door}`, messages: [{ role: "user", content: PLAIN }] });
    return { text: reply.choices[0].message.content };
  });
}

const usageOf = (usage) => ({
  input: usage.prompt_tokens, output: usage.completion_tokens, cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
});
