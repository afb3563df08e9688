"""What speechverse claims about speed, each measured against a named alternative; see README.md."""
