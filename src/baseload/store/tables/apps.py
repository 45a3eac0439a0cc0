"""What people do with the assistant. Texts and files are sealed by the home's secret: the database tells nothing."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, Table, Text

from baseload.store.tables.columns import BigId, big, id_column, json_column, metadata, ns, words

chats = Table(
    "chats",
    metadata,
    id_column(),
    Column("person_id", BigId, ForeignKey("people.id"), nullable=False, index=True),
    Column("title", LargeBinary, nullable=False),  # sealed
    words("model", ""),  # the last one that was chosen, "" = by the merit order
    words("account", ""),
    big("leaf_id", null=True),  # the message that the branch in view ends with
    ns("made_ns"),
    ns("changed_ns"),
)

chat_messages = Table(
    "chat_messages",
    metadata,
    id_column(),
    Column("chat_id", BigId, ForeignKey("chats.id", ondelete="CASCADE"), nullable=False, index=True),
    big("parent_id", null=True),  # a message changed or asked again has a sister under the same parent
    words("role"),  # user | assistant
    Column("body", LargeBinary, nullable=False),  # sealed JSON: text, thoughts
    json_column("files", "[]"),  # ids of chat_files
    words("state", "done"),  # done | stopped | failed
    words("model", ""),
    words("call", ""),
    words("offer", ""),
    big("charge_nano", null=True),  # NULL = not settled yet
    words("currency", ""),
    ns("made_ns"),
)

chat_files = Table(
    "chat_files",
    metadata,
    id_column(),
    Column("person_id", BigId, ForeignKey("people.id"), nullable=False, index=True),
    Column("chat_id", BigId, ForeignKey("chats.id", ondelete="CASCADE"), nullable=True, index=True),  # NULL = not sent
    words("name"),
    words("media"),
    Column("size", BigInteger, nullable=False),  # bytes
    Column("body", LargeBinary, nullable=False),  # sealed
    Column("text", LargeBinary, nullable=True),  # sealed; what a model is given of a document
    ns("made_ns"),
)

app_days = Table(
    "app_days",
    metadata,
    Column("day", Text, primary_key=True),  # YYYY-MM-DD, UTC
    Column("person_id", BigId, ForeignKey("people.id"), primary_key=True),
    Column("messages", BigInteger, nullable=False),
)
"""Who used the assistant on which day: app users of the scoreboard. It stays when chats are deleted."""
