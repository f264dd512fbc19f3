"""Small models in this process, through transformers and an own sampler."""
