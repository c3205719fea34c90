"""Put a model into BentoML's model store and build the Bento around it, both in `$BENTOML_HOME`.

Usage: build.py CONTEXT MODEL VERSION, where CONTEXT holds this folder's files, requirements.txt and `digits/`. It
prints the directory of the Bento. `digits.bento` calls this in a process of its own, because BentoML fixes its home
directory when it loads.
"""

import shutil
import sys

import bentoml


def main() -> None:
    context, model, version = sys.argv[1:]
    with bentoml.models.create(f"classifier:{version}") as stored:
        shutil.copyfile(model, stored.path_of("model.onnx"))
    bento = bentoml.build(
        service="service:Classifier",
        build_ctx=context,
        include=["*.py", "*.html", "digits/*.py"],
        version=version,
        # The requirements are locked already; locking again would ask an index.
        python={"requirements_txt": "requirements.txt", "lock_packages": False},
    )
    print(bento.path)


if __name__ == "__main__":
    main()
