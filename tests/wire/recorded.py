"""Reply streams as vendors send them, with what a meter must find in each, written out by hand.

The two of llama.cpp are recordings of the embedded engine (`streams/`); the others follow the vendors' documented
dialects. `without` is what the same vendor sends when nobody asks for usage: what a client who did not ask must see,
byte for byte.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

STREAMS = Path(__file__).parent / "streams"


class Facts(msgspec.Struct, frozen=True):
    usage: bytes
    frames: int  # that carry generated text
    text: str  # all generated text, tool names and arguments too
    finish: str = "stop"
    model: str = ""
    tier: str = ""
    done: bool = True
    malformed: int = 0
    error: bytes = b""
    reports: int = 1


class Stream(msgspec.Struct, frozen=True):
    name: str
    bytes: bytes
    facts: Facts
    without: bytes


def _frames(*payloads: str, done: bool = True) -> bytes:
    frames = [f"data: {payload}\n\n".encode() for payload in payloads]
    return b"".join(frames) + (b"data: [DONE]\n\n" if done else b"")


def _openai() -> Stream:
    head = (
        '{"id":"chatcmpl-Aa1","object":"chat.completion.chunk","created":1795562403,"model":"gpt-5.6-mini-2026-08-07",'
        '"service_tier":"flex","system_fingerprint":"fp_44709d6fcb","choices":'
    )
    deltas = [
        '[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]',
        '[{"index":0,"delta":{"content":"The key \\"usage\\" is "},"logprobs":null,"finish_reason":null}]',
        '[{"index":0,"delta":{"content":"{\\"a\\":1,\\"usage\\":null}"},"logprobs":null,"finish_reason":null}]',
        '[{"index":0,"delta":{"content":" caf\u00e9 \u4f60\u597d \\ud83d\\ude00"},"finish_reason":null}]',
        '[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]',
    ]
    pads = ["x", "Zq3", "", "k0kkkk", "usage"]
    usage = (
        '{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,'
        '"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}'
    )
    pairs = list(zip(deltas, pads, strict=True))
    return Stream(
        "openai",
        _frames(
            *[f'{head}{delta},"usage":null,"obfuscation":"{pad}"}}' for delta, pad in pairs],
            f'{head}[],"usage":{usage},"obfuscation":""}}',
        ),
        Facts(
            usage.encode(),
            3,
            'The key "usage" is {"a":1,"usage":null} caf\u00e9 \u4f60\u597d \U0001f600',
            model="gpt-5.6-mini-2026-08-07",
            tier="flex",
        ),
        _frames(*[f'{head}{delta},"obfuscation":"{pad}"}}' for delta, pad in pairs]),
    )


def _openai_tools() -> Stream:
    head = '{"id":"chatcmpl-Bb2","object":"chat.completion.chunk","created":1795562403,"model":"gpt-5.6","choices":'
    deltas = [
        '[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function",'
        '"function":{"name":"weather","arguments":""}}]},"finish_reason":null}]',
        '[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"city\\":"}}]},"finish_reason":null}]',
        '[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\\"\u5317\u4eac\\"}"}}]},'
        '"finish_reason":null}]',
        '[{"index":1,"delta":{"refusal":"I cannot."},"finish_reason":null}]',
        '[{"index":0,"delta":{},"finish_reason":"tool_calls"}]',
    ]
    usage = '{"prompt_tokens":60,"completion_tokens":20,"total_tokens":80}'
    return Stream(
        "openai-tools",
        _frames(*[f'{head}{delta},"usage":null}}' for delta in deltas], f'{head}[],"usage":{usage}}}'),
        Facts(usage.encode(), 4, 'weather{"city":"\u5317\u4eac"}I cannot.', finish="tool_calls", model="gpt-5.6"),
        _frames(*[f"{head}{delta}}}" for delta in deltas]),
    )


def _azure() -> Stream:
    first = (
        '{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,'
        '"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}'
    )
    text = (
        '{"choices":[{"content_filter_results":{},"delta":{"content":"Hi","role":"assistant"},"finish_reason":null,"index":0,'
        '"logprobs":null}],"created":1795562403,"id":"chatcmpl-C","model":"gpt-4.1-2025-04-14",'
        '"object":"chat.completion.chunk","system_fingerprint":"fp_1"'
    )
    last = (
        '{"choices":[{"delta":{},"finish_reason":"stop","index":0,"logprobs":null}],"created":1795562403,'
        '"id":"chatcmpl-C","model":"gpt-4.1-2025-04-14","object":"chat.completion.chunk","system_fingerprint":"fp_1"'
    )
    usage = '{"completion_tokens":1,"prompt_tokens":30,"total_tokens":31}'
    end = (
        '{"choices":[],"created":1795562403,"id":"chatcmpl-C","model":"gpt-4.1-2025-04-14",'
        f'"object":"chat.completion.chunk","system_fingerprint":"fp_1","usage":{usage}}}'
    )
    return Stream(
        "azure",
        _frames(first, text + ',"usage":null}', last + ',"usage":null}', end),
        Facts(usage.encode(), 1, "Hi", model="gpt-4.1-2025-04-14"),
        _frames(first, text + "}", last + "}"),
    )


def _dashscope() -> Stream:
    """The null stands in the middle, and before `created`."""
    usage = '{"prompt_tokens":22,"completion_tokens":4,"total_tokens":26,"prompt_tokens_details":{"cached_tokens":0}}'
    tail = '"created":1795562403,"system_fingerprint":null,"model":"qwen3-max","id":"chatcmpl-1f"}'
    body = '"object":"chat.completion.chunk",'
    choices = [
        '{"choices":[{"delta":{"content":"","role":"assistant"},"index":0,"logprobs":null,"finish_reason":null}],',
        '{"choices":[{"delta":{"content":null,"reasoning_content":"\u60f3"},"index":0,"finish_reason":null}],',
        '{"choices":[{"finish_reason":null,"delta":{"content":"\u6211\u662f"},"index":0,"logprobs":null}],',
        '{"choices":[{"finish_reason":"stop","delta":{"content":""},"index":0,"logprobs":null}],',
    ]
    return Stream(
        "dashscope",
        _frames(*[f'{c}{body}"usage":null,{tail}' for c in choices], f'{{"choices":[],{body}"usage":{usage},{tail}'),
        Facts(usage.encode(), 2, "\u60f3\u6211\u662f", model="qwen3-max"),
        _frames(*[f"{c}{body}{tail}" for c in choices]),
    )


def _deepseek() -> Stream:
    """Comments and blank lines keep the connection open; the usage rides on the last content chunk too."""
    head = '{"id":"9f","object":"chat.completion.chunk","created":1795562403,"model":"deepseek-flash","choices":'
    first = f'{head}[{{"index":0,"delta":{{"role":"assistant","content":null,"reasoning_content":"Hm"}}}}]'
    second = f'{head}[{{"index":0,"delta":{{"content":"4","reasoning_content":null}},"finish_reason":null}}]'
    usage = (
        '{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"prompt_cache_hit_tokens":60,'
        '"prompt_cache_miss_tokens":40}'
    )
    final = f'{head}[{{"index":0,"delta":{{"content":""}},"finish_reason":"stop"}}],"usage":{usage}}}'
    waits = b": keep-alive\n\n"

    def stream(null: str) -> bytes:
        return (
            b"\n\n" + waits + waits + _frames(first + null, done=False) + b"\n" + waits + _frames(second + null, final)
        )

    return Stream(
        "deepseek",
        stream(',"usage":null}'),
        Facts(usage.encode(), 2, "Hm4", model="deepseek-flash"),
        stream("}"),
    )


def _moonshot() -> Stream:
    """Usage in the choice of the finish chunk and again in a chunk of its own."""
    head = '{"id":"cmpl-0","object":"chat.completion.chunk","created":1795562403,"model":"kimi-k3","choices":'
    usage = '{"prompt_tokens":19,"completion_tokens":13,"total_tokens":32}'
    start = [
        f'{head}[{{"index":0,"delta":{{"role":"assistant","content":""}},"finish_reason":null}}]}}',
        f'{head}[{{"index":0,"delta":{{"content":"x"}},"finish_reason":null}}]}}',
        f'{head}[{{"index":0,"delta":{{}},"finish_reason":"stop","usage":{usage}}}]}}',
    ]
    return Stream(
        "moonshot",
        _frames(*start, f'{head}[],"usage":{usage}}}'),
        Facts(usage.encode(), 1, "x", model="kimi-k3"),
        _frames(*start),
    )


def _zhipu() -> Stream:
    """Usage comes unasked, on the finish chunk: nothing to hide. Whole tool calls in one delta."""
    head = '{"id":"20261124","created":1795562403,"object":"chat.completion.chunk","model":"glm-5.2","choices":'
    usage = (
        '{"prompt_tokens":60,"completion_tokens":40,"total_tokens":100,"prompt_tokens_details":{"cached_tokens":32},'
        '"completion_tokens_details":{"reasoning_tokens":30}}'
    )
    whole = _frames(
        f'{head}[{{"index":0,"delta":{{"role":"assistant","reasoning_content":"\u597d"}}}}]}}',
        f'{head}[{{"index":0,"delta":{{"role":"assistant","tool_calls":[{{"id":"c","index":0,"type":"function",'
        '"function":{"name":"f","arguments":"{}"}}]}}]}',
        f'{head}[{{"index":0,"finish_reason":"tool_calls","delta":{{"role":"assistant","content":""}}}}],"usage":{usage}}}',
    )
    return Stream("zhipu", whole, Facts(usage.encode(), 2, "\u597df{}", finish="tool_calls", model="glm-5.2"), whole)


def _openrouter() -> Stream:
    """Comments first; usage with money, always, in a chunk that has a choice; reasoning said under two names."""
    head = '{"id":"gen-1","provider":"X","model":"deepseek/deepseek-v4","created":1,"choices":'
    usage = (
        '{"prompt_tokens":194,"completion_tokens":2,"total_tokens":196,"cost":0.00095,"is_byok":false,'
        '"prompt_tokens_details":{"cached_tokens":100},"cost_details":{"upstream_inference_cost":null}}'
    )
    whole = (
        b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n"
        + _frames(
            f'{head}[{{"index":0,"delta":{{"role":"assistant","content":"","reasoning":"Let","reasoning_details":[{{"type":'
            '"reasoning.text","text":"Let"}]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}',
            done=False,
        )
        + b": OPENROUTER PROCESSING\n\n"
        + _frames(
            f'{head}[{{"index":0,"delta":{{"role":"assistant","content":"Hi"}},"finish_reason":"stop"}}]}}',
            f'{head}[{{"index":0,"delta":{{"role":"assistant","content":""}},"finish_reason":null}}],"usage":{usage}}}',
        )
    )
    return Stream("openrouter", whole, Facts(usage.encode(), 2, "LetHi", model="deepseek/deepseek-v4"), whole)


def _ark() -> Stream:
    """`chunk_include_usage`: running totals on every chunk, then a chunk of its own."""
    head = '{"id":"02","model":"doubao-seed-2-1-260915","service_tier":"default","created":1,"choices":'

    def usage(n: int) -> str:
        return f'{{"completion_tokens":{n},"prompt_tokens":30,"total_tokens":{30 + n}}}'

    start = [
        f'{head}[{{"delta":{{"content":"{text}","role":"assistant"}},"index":0}}],"usage":{usage(n)}}}'
        for n, text in enumerate("abcdef", 1)
    ]
    start.append(
        f'{head}[{{"delta":{{"content":""}},"finish_reason":"length","index":0}}],"usage":{usage(6)}}}',
    )
    return Stream(
        "ark",
        _frames(*start, f'{head}[],"usage":{usage(6)}}}'),
        Facts(
            usage(6).encode(), 6, "abcdef", finish="length", model="doubao-seed-2-1-260915", tier="default", reports=4
        ),
        _frames(*start),
    )


def _vllm_error() -> Stream:
    """The engine fails in mid-stream, after 200: no usage, no finish; spaces after separators."""
    head = '{"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "qwen", "choices": '
    error = '{"message": "The engine died", "type": "InternalServerError", "param": null, "code": 500}'
    first = f'{head}[{{"index": 0, "delta": {{"content": "a"}}, "usage": null}}]'
    return Stream(
        "vllm-error",
        _frames(first + ', "usage": null}', f'{{"error": {error}}}'),
        Facts(b"", 1, "a", finish="", model="qwen", error=error.encode(), reports=0),
        _frames(first + "}", f'{{"error": {error}}}'),
    )


def _llamacpp(kind: str, facts: Facts) -> Stream:
    whole = (STREAMS / f"llamacpp_{kind}.sse").read_bytes()
    frames = whole.split(b"\n\n")
    without = b"\n\n".join([frame for frame in frames if b'"choices":[]' not in frame])
    return Stream(f"llama.cpp-{kind}", whole, facts, without)


RECORDED = [
    _openai(),
    _openai_tools(),
    _azure(),
    _dashscope(),
    _deepseek(),
    _moonshot(),
    _zhipu(),
    _openrouter(),
    _ark(),
    _vllm_error(),
    _llamacpp(
        "chat",
        Facts(
            b'{"completion_tokens":12,"prompt_tokens":34,"total_tokens":46,"prompt_tokens_details":{"cached_tokens":33}}',
            12,
            "1. Red: This is the most obvious colour, but",
            finish="length",
            model="smollm2",
        ),
    ),
    _llamacpp(
        "completions",
        Facts(
            b'{"completion_tokens":6,"prompt_tokens":3,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":2}}',
            6,
            "-digit numbers are 1",
            finish="length",
            model="smollm2",
        ),
    ),
]
