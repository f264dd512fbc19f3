"""Model backends behind one protocol: OpenAI-compatible servers, local transformers models, recordings."""
