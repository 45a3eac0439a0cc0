"""Pages for people. No business rules: what a page shows comes from the services of `baseload.control`."""
