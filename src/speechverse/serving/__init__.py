"""A loaded model behind OpenAI's HTTP conventions (extra `serve`)."""
