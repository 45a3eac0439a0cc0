// The `ai` package with four of its providers: one code for all, as its users write it.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, generateObject, generateText, jsonSchema, stepCountIs, streamObject, streamText, tool } from "ai";
import { FILL, PLAIN, PNG, SCHEMA, SEE, SYSTEM, THINK, TOOLS, USE, callOf, droppedOf, tell, toolSchema } from "./common.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

// Models whose names begin as the vendor's own do: the libraries read from the name what a model can.
function clients({ base, key }) {
  const openai = createOpenAI({ baseURL: `${base}/v1`, apiKey: key });
  const anthropic = createAnthropic({ baseURL: `${base}/v1`, apiKey: key });
  const google = createGoogleGenerativeAI({ baseURL: `${base}/v1beta`, apiKey: key });
  const compatible = createOpenAICompatible({ name: "grid", baseURL: `${base}/v1`, apiKey: key, includeUsage: true, supportsStructuredOutputs: true });
  return [
    ["ai/openai", (model) => openai(`gpt-5-${model}`), { openai: { reasoningEffort: "low", reasoningSummary: "auto", store: false, include: ["reasoning.encrypted_content"] } }, { openai: { store: false } }],
    ["ai/openai.chat", (model) => openai.chat(`gpt-5-${model}`), { openai: { reasoningEffort: "low" } }, {}],
    ["ai/anthropic", (model) => anthropic(`claude-sonnet-4-5-${model}`), { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } }, {}],
    ["ai/anthropic, unknown model", (model) => anthropic(model), { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } }, {}],
    ["ai/google", (model) => google(`gemini-2.5-flash-${model}`), { google: { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } } }, {}],
    ["ai/openai-compatible", (model) => compatible(model), { grid: { reasoningEffort: "low" } }, {}],
  ];
}

const tools = Object.fromEntries(Object.entries(TOOLS).map(([name, { what, answer }]) => [
  name, tool({ description: what, inputSchema: jsonSchema(toolSchema(name)), execute: async () => answer }),
]));

// What a whole or a streamed run says, in one form: the stream is read to its end, and an error in it is thrown.
async function finish(made, stream) {
  if (!stream) return made;
  let failed;
  for await (const part of made.fullStream) if (part.type === "error") failed ??= part.error;
  if (failed !== undefined) throw failed;
  const names = ["text", "finishReason", "usage", "response", "steps", "reasoningText"];
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await made[name]])));
}

export async function run(config) {
  for (const [name, model, thinking, always] of clients(config)) {
    await one(config, name, model, thinking, always);
  }
}

// One function a client: each begins again after an overload, and waits for two seconds before it does.
export const retries = (config) => clients(config).map(([client, model, , always]) => (door) =>
  tell(client, door, "retry", async () => {
    const { text } = await generateText({ model: model(`flaky-${door}`), prompt: PLAIN, providerOptions: always, maxRetries: 2 });
    return { text };
  }));

async function one({ doors, faults }, client, model, thinking, always) {
  const quiet = { onError: () => {}, maxRetries: 0 };
  for (const door of doors) {
    for (const stream of [false, true]) {
      const named = (name) => (stream ? `${name}, streamed` : name);
      const generate = stream ? streamText : generateText;
      const ask = async (body) => finish(await generate({ model: model(door), providerOptions: always, ...quiet, ...body }), stream);
      const simple = async (body) => {
        const seen = await ask(body);
        return { text: seen.text, finish: seen.finishReason, usage: usageOf(seen.usage), call: callOf(seen.response.headers), dropped: [droppedOf(seen.response.headers)] };
      };
      const steps = async (body) => {
        const seen = await ask({ system: SYSTEM, tools, stopWhen: stepCountIs(4), ...body });
        const [first] = seen.steps, last = seen.steps.at(-1);
        return {
          finish: first.finishReason, thought: first.reasoningText ?? "", turns: seen.steps.length,
          tools: first.toolCalls.map(({ toolCallId, toolName, input }) => ({ id: toolCallId, name: toolName, args: input })),
          text: seen.text, last: seen.finishReason, usage: usageOf(last.usage), call: callOf(last.response.headers),
          dropped: seen.steps.map((step) => droppedOf(step.response.headers)),
        };
      };
      await tell(client, door, named("plain"), () => simple({ system: SYSTEM, prompt: PLAIN }));
      await tell(client, door, named("short"), () => simple({ prompt: "words=40", maxOutputTokens: 5 }));
      await tell(client, door, named("image"), () =>
        simple({ messages: [{ role: "user", content: [{ type: "text", text: SEE }, { type: "image", image: Buffer.from(PNG, "base64") }] }] }));
      await tell(client, door, named("tools"), () => steps({ prompt: USE }));
      await tell(client, door, named("think"), () => steps({ prompt: THINK, providerOptions: thinking, maxOutputTokens: 4096 }));
      await tell(client, door, named("schema"), async () => {
        const body = { model: model(door), prompt: FILL, schema: jsonSchema(SCHEMA), providerOptions: always, ...quiet };
        const made = stream ? streamObject(body) : await generateObject(body);
        if (stream) for await (const _ of made.partialObjectStream);
        return { value: await made.object, usage: usageOf(await made.usage), call: callOf((await made.response).headers) };
      });
      await tell(client, door, named("output"), async () => {
        const seen = await generateText({ model: model(door), prompt: FILL, output: Output.object({ schema: jsonSchema(SCHEMA) }), providerOptions: always, ...quiet });
        return { value: seen.output };
      });
    }
  }
  for (const { name, model: faulty } of faults) {
    for (const stream of [false, true]) {
      await tell(client, faulty, stream ? "error, streamed" : "error", async () => {
        const body = { model: model(faulty), prompt: PLAIN, providerOptions: always, ...quiet };
        const seen = await finish(await (stream ? streamText : generateText)(body), stream);
        return { fault: name, text: seen.text };
      });
    }
  }
}

const usageOf = (usage) => ({ input: usage.inputTokens, output: usage.outputTokens, cached: usage.inputTokenDetails?.cacheReadTokens ?? usage.cachedInputTokens ?? 0 });
