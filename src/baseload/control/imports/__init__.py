"""What other gateways' configurations become here: pure translations, and the block of baseload.toml that holds them.

In:     the text of a LiteLLM config.yaml; rows of a New API or One API database. Out: a `Plan` with a report that names
        everything that was taken, changed, or not carried, and why.
Applied by `control.services.imports`. Nothing is dropped in silence.
"""
