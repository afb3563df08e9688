"""Making the frozen parts: the encoder (BEST-RQ, then CTC), the tokenizer, the small LLM and its text data."""
