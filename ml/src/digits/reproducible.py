"""Make two runs on one machine give the same bytes, without a word to anybody.

Importing this module, before anything else imports torch, sets what the numeric libraries read when they load.
"""

import os

# The libraries choose code by the processor. With one path on all x86 processors results differ less between machines;
# that they are the same bytes holds on one machine only.
os.environ.setdefault("ATEN_CPU_CAPABILITY", "default")
os.environ.setdefault("MKL_CBWR", "COMPATIBLE")
# Without a fixed workspace cuBLAS may choose another algorithm in the next run.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
# ONNX Runtime would report to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import torch  # the variables above must be set first


def start(seed: int) -> torch.device:
    """Fix every source of chance and return the device to use: a GPU where there is one, else the CPU."""
    torch.manual_seed(seed)
    # A GPU has no such algorithm for some operations; a model that uses one trains all the same, with a warning.
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    # Sums are split by thread, so their rounding would follow the number of cores.
    torch.set_num_threads(1)
    torch.backends.mkldnn.set_flags(False)  # type: ignore[no-untyped-call]
    torch.backends.cudnn.benchmark = False
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
