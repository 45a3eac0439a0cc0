// What all clients are asked, and how what they saw is told: one JSON line an exchange, judged by test_node.py.

export const SYSTEM = "Be brief.";
export const PLAIN = "hello there cached";
export const USE = "use weather and clock";
export const SEE = "what is here";
export const FILL = "fill in";
export const THINK = "think and use weather";
export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

export const TOOLS = {
  weather: { what: "The weather of a city.", member: "city", answer: "sunny" },
  clock: { what: "The time in a zone.", member: "zone", answer: "noon" },
};

export const object = (members) => ({
  type: "object",
  properties: Object.fromEntries(Object.entries(members).map(([name, type]) => [name, { type }])),
  required: Object.keys(members),
  additionalProperties: false,
});

export const toolSchema = (name) => object({ [TOOLS[name].member]: "string" });
export const SCHEMA = object({ colour: "string", count: "integer" });

// Runs one exchange; what it returns, or the error it throws, is one line.
export async function tell(client, door, name, exchange) {
  let seen;
  try {
    seen = await exchange();
  } catch (error) {
    seen = { error: errorOf(error) };
  }
  console.log(JSON.stringify({ client, door, case: name, ...seen }));
}

function errorOf(error) {
  // `ai` wraps what failed after its retries.
  const last = error.lastError ?? error;
  return {
    class: error.constructor.name,
    name: last.name,
    last: last.constructor.name,
    status: last.status ?? last.statusCode ?? null,
    code: last.code ?? null,
    type: last.type ?? null,
    retryable: last.isRetryable ?? null,
    said: String(last.responseBody ?? last.message),
    at: error.lastError === undefined && last.status === undefined && last.statusCode === undefined ? last.stack : "",
  };
}

export const callOf = (headers) => (headers.get ? headers.get("x-baseload-call-id") : headers["x-baseload-call-id"]) ?? "";
export const droppedOf = (headers) =>
  (headers.get ? headers.get("x-baseload-dropped") : headers["x-baseload-dropped"]) ?? "";
