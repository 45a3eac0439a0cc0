"""The assistant: a person's chats, their files, and one turn of a conversation through the gateway.

In:     a signed-in person, a question, files. Out: a stream of what a model answers, kept as the person's history.
What is kept is sealed by the home's secret and belongs to one person: no role reads another's.
May import: what `control` may.
"""
