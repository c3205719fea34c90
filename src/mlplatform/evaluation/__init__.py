"""What main measures and judges of a model that a pull request's run made.

Three steps, each without trust in the one that made the model: `admission` looks at the file, `measure` runs it on
main's test set in a process with limits, and `judgement` compares. What judges (`declaration`, `result`, `scope`,
`judgement`, `identity`) needs pydantic alone; only what measures needs numpy, safetensors, onnx and ONNX Runtime.
"""
