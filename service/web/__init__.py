"""The page: markup, script, style, its words in each language, and what renders and serves it."""
