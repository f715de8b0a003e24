"""Reports as one HTML file and as Markdown, in which every number names its stage."""
