/* Server-sent events of a reply to a POST: blocks parted by an empty line. `take` gets (event, data as text). */
export async function eachEvent(reply, take) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    const blocks = buffer.split(/\r?\n\r?\n/);
    buffer = blocks.pop();
    for (const block of blocks) {
      let event = "message", data = "";
      for (const line of block.split(/\r?\n/)) {
        if (line.startsWith("event:")) event = line.slice(6).trim();
        if (line.startsWith("data:")) data += line.slice(5).trimStart();
      }
      if (data) take(event, data);
    }
  }
}

/* An amount in nano-units as people read it. */
export function amount(nano, currency) {
  const shown = (nano / 1e9).toLocaleString(document.documentElement.lang, { maximumSignificantDigits: 3, maximumFractionDigits: 9 });
  return `${shown} ${currency}`;
}

