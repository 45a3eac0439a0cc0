// The `@anthropic-ai/sdk` package, messages.
import Anthropic from "@anthropic-ai/sdk";
import { FILL, PLAIN, PNG, SCHEMA, SEE, SYSTEM, THINK, TOOLS, USE, callOf, droppedOf, tell, toolSchema } from "./common.mjs";

const NAME = "anthropic";
const tools = Object.entries(TOOLS).map(([name, { what }]) => ({ name, description: what, input_schema: toolSchema(name) }));

const textOf = (reply) => reply.content.filter((block) => block.type === "text").map((block) => block.text).join("");

export async function run({ base, key, doors, faults }) {
  const client = new Anthropic({ baseURL: base, apiKey: key, maxRetries: 0 });

  async function ask(body, stream) {
    if (!stream) {
      const { data, response } = await client.messages.create(body).withResponse();
      return [data, response];
    }
    const runner = client.messages.stream(body);
    const { response } = await runner.withResponse();
    return [await runner.finalMessage(), response];
  }

  async function withTools(door, text, more, stream) {
    const messages = [{ role: "user", content: text }];
    const body = { model: door, system: SYSTEM, messages, tools, max_tokens: 4096, ...more };
    const [reply, first] = await ask(body, stream);
    const called = reply.content.filter((block) => block.type === "tool_use");
    const thought = reply.content.filter((block) => block.type === "thinking");
    messages.push({ role: "assistant", content: reply.content });
    messages.push({ role: "user", content: called.map(({ id, name }) => ({ type: "tool_result", tool_use_id: id, content: TOOLS[name].answer })) });
    const [end, second] = await ask(body, stream);
    return {
      finish: reply.stop_reason, thought: thought.map((block) => block.thinking).join(""), signed: thought.some((block) => block.signature),
      tools: called.map(({ id, name, input }) => ({ id, name, args: input })),
      text: textOf(end), last: end.stop_reason, usage: usageOf(end.usage), call: callOf(second.headers),
      dropped: [droppedOf(first.headers), droppedOf(second.headers)],
    };
  }

  const users = (content) => [{ role: "user", content }];
  for (const door of doors) {
    for (const stream of [false, true]) {
      const named = (name) => (stream ? `${name}, streamed` : name);
      const one = async (body) => {
        const [reply, response] = await ask({ model: door, max_tokens: 256, ...body }, stream);
        return { text: textOf(reply), finish: reply.stop_reason, usage: usageOf(reply.usage), call: callOf(response.headers), dropped: [droppedOf(response.headers)] };
      };
      await tell(NAME, door, named("plain"), () => one({ system: SYSTEM, messages: users(PLAIN), temperature: 0.5 }));
      await tell(NAME, door, named("short"), () => one({ messages: users("words=40"), max_tokens: 5 }));
      await tell(NAME, door, named("image"), () =>
        one({ messages: users([{ type: "text", text: SEE }, { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } }]) }));
      await tell(NAME, door, named("tools"), () => withTools(door, USE, {}, stream));
      await tell(NAME, door, named("think"), () => withTools(door, THINK, { thinking: { type: "enabled", budget_tokens: 1024 } }, stream));
      await tell(NAME, door, named("schema"), async () => {
        const seen = await one({ messages: users(FILL), output_config: { format: { type: "json_schema", schema: SCHEMA } } });
        return { ...seen, value: JSON.parse(seen.text) };
      });
    }
    await tell(NAME, door, "count", async () => {
      const { data, response } = await client.messages.countTokens({ model: door, system: SYSTEM, messages: users(PLAIN) }).withResponse();
      return { count: data.input_tokens, how: response.headers.get("x-baseload-count") ?? "asked" };
    });
  }
  await tell(NAME, doors[0], "beta", async () => {
    const { data, response } = await client.beta.messages
      .create({ model: doors[0], max_tokens: 64, messages: users(PLAIN), betas: ["context-1m-2025-08-07"] }).withResponse();
    return { text: textOf(data), finish: data.stop_reason, usage: usageOf(data.usage), call: callOf(response.headers) };
  });
  for (const { name, model } of faults) {
    for (const stream of [false, true]) {
      await tell(NAME, model, stream ? "error, streamed" : "error", async () => {
        const seen = await client.messages.create({ model, max_tokens: 64, messages: users(PLAIN), stream });
        let text = "";
        if (stream) for await (const event of seen) text += event.delta?.text ?? "";
        return { fault: name, text };
      });
    }
  }
}

export async function retry({ base, key }, door) {
  const patient = new Anthropic({ baseURL: base, apiKey: key, maxRetries: 2 });
  await tell(NAME, door, "retry", async () => {
    const reply = await patient.messages.create({ model: `flaky-${door}`, max_tokens: 64, messages: [{ role: "user", content: PLAIN }] });
    return { text: textOf(reply) };
  });
}

const usageOf = (usage) => ({
  input: usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0),
  output: usage.output_tokens, cached: usage.cache_read_input_tokens ?? 0,
});
