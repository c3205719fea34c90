"""The training pipeline of the handwritten digits classifier: data, model, evaluation, packaging."""
