// node run.mjs CONFIG: every client on every door, one exchange at a time; one JSON line each.
import * as ai from "./ai.mjs";
import * as anthropic from "./anthropic.mjs";
import * as chat from "./openai_chat.mjs";
import * as responses from "./openai_responses.mjs";

const config = JSON.parse(process.argv[2]);

async function calls() {
  for (const client of [chat, responses, anthropic, ai]) await client.run(config);
}

// Repeats wait for as long as the gateway says, so they run beside the rest, all at once.
async function repeats() {
  const clients = [chat, responses, anthropic].map((client) => (door) => client.retry(config, door));
  await Promise.all([...clients, ...ai.retries(config)].flatMap((again) => config.doors.map(again)));
}

await Promise.all([calls(), repeats()]);
