// The `openai` package, responses. The conversation is kept by the client (`store: false`), as agents keep it.
import OpenAI from "openai";
import { FILL, PLAIN, PNG, SCHEMA, SEE, SYSTEM, THINK, TOOLS, USE, callOf, droppedOf, tell, toolSchema } from "./common.mjs";

const NAME = "openai.responses";
const tools = Object.entries(TOOLS).map(([name, { what }]) => ({
  type: "function", name, description: what, parameters: toolSchema(name), strict: true,
}));

export async function run({ base, key, doors, faults }) {
  let heard; // the last response: the library's stream runner does not show it
  const listen = async (...request) => (heard = await fetch(...request));
  const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 0, fetch: listen });

  async function ask(body, stream) {
    if (!stream) {
      const { data, response } = await client.responses.create({ store: false, ...body }).withResponse();
      return [data, response];
    }
    const runner = client.responses.stream({ store: false, ...body });
    let said = "";
    runner.on("response.output_text.delta", (event) => (said += event.delta));
    const done = await runner.finalResponse();
    if (said !== done.output_text) throw new Error(`deltas say ${said}, the response says ${done.output_text}`);
    return [done, heard];
  }

  async function withTools(door, text, more, stream) {
    const input = [{ role: "user", content: text }];
    const body = { model: door, instructions: SYSTEM, input, tools, max_output_tokens: 2048, ...more };
    const [reply, first] = await ask(body, stream);
    const called = reply.output.filter((item) => item.type === "function_call");
    const thought = reply.output.filter((item) => item.type === "reasoning");
    input.push(...reply.output.map(({ parsed_arguments, ...item }) => item));
    for (const { call_id, name } of called) input.push({ type: "function_call_output", call_id, output: TOOLS[name].answer });
    const [end, second] = await ask(body, stream);
    return {
      finish: reply.status, signed: thought.some((item) => item.encrypted_content),
      thought: thought.flatMap((item) => item.summary.map((part) => part.text)).join(""),
      tools: called.map(({ call_id, name, arguments: args }) => ({ id: call_id, name, args: JSON.parse(args) })),
      text: end.output_text, last: end.status, usage: usageOf(end.usage), call: callOf(second.headers),
      dropped: [droppedOf(first.headers), droppedOf(second.headers)],
    };
  }

  for (const door of doors) {
    for (const stream of [false, true]) {
      const named = (name) => (stream ? `${name}, streamed` : name);
      const one = async (body) => {
        const [reply, response] = await ask({ model: door, max_output_tokens: 256, ...body }, stream);
        const finish = reply.incomplete_details?.reason ?? reply.status;
        return { text: reply.output_text, finish, usage: usageOf(reply.usage), call: callOf(response.headers), dropped: [droppedOf(response.headers)] };
      };
      await tell(NAME, door, named("plain"), () => one({ instructions: SYSTEM, input: PLAIN, temperature: 0.5 }));
      await tell(NAME, door, named("short"), () => one({ input: "words=40", max_output_tokens: 5 }));
      await tell(NAME, door, named("image"), () =>
        one({ input: [{ role: "user", content: [{ type: "input_text", text: SEE }, { type: "input_image", detail: "auto", image_url: `data:image/png;base64,${PNG}` }] }] }));
      await tell(NAME, door, named("tools"), () => withTools(door, USE, {}, stream));
      await tell(NAME, door, named("think"), () =>
        withTools(door, THINK, { reasoning: { effort: "low", summary: "auto" }, include: ["reasoning.encrypted_content"] }, stream));
      await tell(NAME, door, named("schema"), async () => {
        const seen = await one({ input: FILL, text: { format: { type: "json_schema", name: "fruit", schema: SCHEMA, strict: true } } });
        return { ...seen, value: JSON.parse(seen.text) };
      });
    }
    await tell(NAME, door, "count", async () => {
      const { data, response } = await client.responses.inputTokens.count({ model: door, instructions: SYSTEM, input: PLAIN }).withResponse();
      return { count: data.input_tokens, how: response.headers.get("x-baseload-count") ?? "asked" };
    });
  }
  for (const { name, model } of faults) {
    for (const stream of [false, true]) {
      await tell(NAME, model, stream ? "error, streamed" : "error", async () => {
        const seen = await client.responses.create({ model, input: PLAIN, store: false, stream });
        let text = "", failed = null;
        if (stream) for await (const event of seen) {
          if (event.type === "response.output_text.delta") text += event.delta;
          if (event.type === "response.failed") failed = event.response.error;
          if (event.type === "response.completed") failed = "completed";
        }
        return { fault: name, text, failed };
      });
    }
  }
}

export async function retry({ base, key }, door) {
  const patient = new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 2 });
  await tell(NAME, door, "retry", async () => {
    const reply = await patient.responses.create({ model: `flaky-${door}`, input: PLAIN, store: false });
    return { text: reply.output_text };
  });
}

const usageOf = (usage) => ({ input: usage.input_tokens, output: usage.output_tokens, cached: usage.input_tokens_details?.cached_tokens ?? 0 });
