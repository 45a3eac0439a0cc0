"""One file a page, or a few that belong together: it asks services for what there is, and hands it to a template."""
