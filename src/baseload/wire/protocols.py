"""The protocols by name, as the gateway uses them: doors to forward through and meter, both ends of a translation.

In:     nothing. Out: tables. A protocol is added in its own folder and here, nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import msgspec
from msgspec import Raw

from baseload.errors import Refusal
from baseload.wire import chat, converse, gemini, media, messages, qwen, responses
from baseload.wire.canon.carry import Target, View, Written
from baseload.wire.canon.events import AnyEvent, Reply
from baseload.wire.canon.request import Request
from baseload.wire.chat import reply_in as chat_reply_in
from baseload.wire.chat import reply_out as chat_reply_out
from baseload.wire.chat import request_in as chat_request_in
from baseload.wire.chat import request_out as chat_request_out
from baseload.wire.chat.stream_in import StreamIn as ChatIn
from baseload.wire.chat.stream_out import StreamOut as ChatOut
from baseload.wire.converse import reply_in as converse_reply_in
from baseload.wire.converse import request_out as converse_request_out
from baseload.wire.converse.stream_in import StreamIn as ConverseIn
from baseload.wire.gemini import reply_in as gemini_reply_in
from baseload.wire.gemini import reply_out as gemini_reply_out
from baseload.wire.gemini import request_in as gemini_request_in
from baseload.wire.gemini import request_out as gemini_request_out
from baseload.wire.gemini.stream_in import StreamIn as GeminiIn
from baseload.wire.gemini.stream_out import StreamOut as GeminiOut
from baseload.wire.messages import reply_in as messages_reply_in
from baseload.wire.messages import reply_out as messages_reply_out
from baseload.wire.messages import request_in as messages_request_in
from baseload.wire.messages import request_out as messages_request_out
from baseload.wire.messages.stream_in import StreamIn as MessagesIn
from baseload.wire.messages.stream_out import StreamOut as MessagesOut
from baseload.wire.metering import Facts, Meter
from baseload.wire.qwen import reply_in as qwen_reply_in
from baseload.wire.qwen import request_out as qwen_request_out
from baseload.wire.qwen.stream_in import StreamIn as QwenIn
from baseload.wire.responses import reply_in as responses_reply_in
from baseload.wire.responses import reply_out as responses_reply_out
from baseload.wire.responses import request_in as responses_request_in
from baseload.wire.responses import request_out as responses_request_out
from baseload.wire.responses.stream_in import StreamIn as ResponsesIn
from baseload.wire.responses.stream_out import StreamOut as ResponsesOut

SSE = b"text/event-stream"
AWS = b"application/vnd.amazon.eventstream"


class In(Protocol):
    """Reads a provider's stream."""

    def feed(self, frames: bytes, /) -> list[AnyEvent]: ...
    def close(self) -> list[AnyEvent]: ...


class Out(Protocol):
    """Writes a client's stream."""

    def write(self, events: list[AnyEvent], /) -> bytes: ...
    def fail(self, refusal: Refusal, call_id: str, /) -> bytes: ...


class DoorKind(msgspec.Struct, frozen=True, kw_only=True):
    """How replies that come through a door are read along."""

    usage: str  # the protocol's name for `usage.normalise`
    meter: Callable[[bool], Meter]  # strip: leave out the usage that the client did not ask for
    facts: Callable[[bytes], Facts]
    stream_type: bytes = SSE  # beginning of a stream's content type
    generates: bool = True  # False: it has no output tokens to hold for
    medium: str = ""  # an endpoint of `wire.media`: it reads its replies itself, by their content type


class Client(msgspec.Struct, frozen=True):
    """A protocol that clients speak."""

    request_in: Callable[[Mapping[str, Raw]], Request]
    reply_out: Callable[[Reply, View], bytes]
    stream_out: Callable[[View], Out]


class Provider(msgspec.Struct, frozen=True):
    """A protocol that providers speak."""

    request_out: Callable[[Request, Target], Written]
    reply_in: Callable[[bytes, Target], Reply]
    stream_in: Callable[[Target], In]


CLIENTS: dict[str, Client] = {
    "chat": Client(chat_request_in.read, chat_reply_out.write, ChatOut),
    "responses": Client(responses_request_in.read, responses_reply_out.write, ResponsesOut),
    "messages": Client(messages_request_in.read, messages_reply_out.write, MessagesOut),
    "gemini": Client(gemini_request_in.read, gemini_reply_out.write, GeminiOut),
}

PROVIDERS: dict[str, Provider] = {
    "chat": Provider(chat_request_out.write, chat_reply_in.read, ChatIn),
    "responses": Provider(responses_request_out.write, responses_reply_in.read, ResponsesIn),
    "messages": Provider(messages_request_out.write, messages_reply_in.read, MessagesIn),
    "gemini": Provider(gemini_request_out.write, gemini_reply_in.read, GeminiIn),
    "converse": Provider(converse_request_out.write, converse_reply_in.read, ConverseIn),
    "qwen": Provider(qwen_request_out.write, qwen_reply_in.read, QwenIn),
}

DOORS: dict[str, DoorKind] = {
    "chat": DoorKind(usage="openai-chat", meter=chat.StreamMeter, facts=partial(chat.read_reply, "chat")),
    "completions": DoorKind(usage="openai-chat", meter=chat.StreamMeter, facts=partial(chat.read_reply, "completions")),
    "embeddings": DoorKind(
        usage="openai-embeddings",
        meter=chat.StreamMeter,
        facts=partial(chat.read_reply, "embeddings"),
        generates=False,
    ),
    "responses": DoorKind(usage="openai-responses", meter=responses.StreamMeter, facts=responses.read_reply),
    "messages": DoorKind(usage="anthropic-messages", meter=messages.StreamMeter, facts=messages.read_reply),
    "gemini": DoorKind(usage="gemini", meter=gemini.StreamMeter, facts=gemini.read_reply),
    "gemini_embed": DoorKind(usage="gemini", meter=gemini.StreamMeter, facts=gemini.read_reply, generates=False),
    "gemini_embed_batch": DoorKind(usage="gemini", meter=gemini.StreamMeter, facts=gemini.read_reply, generates=False),
    "converse": DoorKind(
        usage="bedrock-converse", meter=converse.StreamMeter, facts=converse.read_reply, stream_type=AWS
    ),
    "qwen": DoorKind(usage="dashscope-native", meter=qwen.StreamMeter, facts=qwen.read_reply),
    "qwen_multimodal": DoorKind(usage="dashscope-native", meter=qwen.StreamMeter, facts=qwen.read_reply),
    **{
        name: DoorKind(
            usage=media.USAGE[name],
            meter=partial(media.StreamMeter, name),
            facts=module.read_reply,
            generates=False,
            medium=name,
        )
        for name, module in media.ENDPOINTS.items()
    },
}
