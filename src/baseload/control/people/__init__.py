"""Who may do what: people, their sessions, tokens with roles. Files in reading order: roles, identity, sessions, links.

In:     names and passwords, cookies, tokens. Out: a `Principal`, or a refusal. Knows no page and no route's content.
"""
