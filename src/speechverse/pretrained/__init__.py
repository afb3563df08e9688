"""Where frozen parts come from: known parts by name, GGUF files and CTranslate2 folders, all checked by hash."""
