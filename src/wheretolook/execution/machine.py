"""Whether an error is the machine's: its memory, its GPU. No torch: its errors go by their words."""

# In small letters: torch on a CPU (two wordings), CUDA and MPS, and cuBLAS, which takes memory of its own.
OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "cublas_status_alloc_failed",
    "can't start new thread",  # no room for its stack
)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, the machine's or a GPU's, in Python, numpy, torch or while loading a library."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    words = str(error).lower()
    if isinstance(error, ImportError):
        return "cannot allocate memory" in words or "failed to map segment" in words
    return isinstance(error, RuntimeError) and any(word in words for word in OUT_OF_MEMORY)


def is_gpu_failure(error: Exception) -> bool:
    """Whether CUDA, or a library on it, said that the device failed."""
    words = ("CUDA error", "CUDNN_STATUS", "CUBLAS_STATUS", "cuFFT error", "NCCL error", "MPS backend")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)
