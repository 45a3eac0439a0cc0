"""Pages for people. No business rules: what a page shows comes from the services of `baseload.control`.

In:     a request that the control plane's door has let in, with its `Principal`.
Out:    HTML, charts as JSON, one stream of news a page.
May import: control and what is below it. Files in reading order: app (which pages there are), view (what every page is
given), assets, charts (pure), words (Chinese), live, pages/.

No inline script or style anywhere: the policy of content forbids both. A page works without JavaScript, but for
charts, of which each has a table beside it.
"""
