"""The page of a run: one file of HTML that reads nothing else. docs/page.md says what is on it.

`view` turns a run into plain values, `render` turns these into HTML. The headline, the counts and the matrix are HTML;
what a claim opens into is drawn in the browser from one block of data (`data`).
"""
