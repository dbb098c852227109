"""ScoredMention -> Incident -> Page: when it is a crisis, who has to know, and what the page says."""
