"""The pieces of the web page of ``experiments.demo``: what can be asked, what comes of it, and a file for each tab."""
