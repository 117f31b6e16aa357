import errno

import pytest

from workflow.evo.errors import EvoError
from workflow.evo.text.facts import fact
from workflow.evo.training.failures import first_line, loader_killed, missing_image, out_of_memory

KILLED = "DataLoader worker (pid 4711) is killed by signal: {}. "


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB.\nGPU 0 has a total capacity of 7.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:114] . DefaultCPUAllocator: can't allocate memory: you tried …"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        Exception("OpenCV(4.12.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 1234 bytes"),
    ],
    ids=lambda error: str(error)[:24],
)
def test_every_way_to_run_out_of_memory_is_known(error):
    assert out_of_memory(error) == fact("memory_out")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR", "CUDNN_STATUS_INTERNAL_ERROR"),
        ("cuDNN error: CUDNN_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"),
        ("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(h)`", "CUBLAS_STATUS_NOT_INITIALIZED"),
    ],
)
def test_a_gpu_library_without_room_is_a_lack_of_memory_that_quotes_its_status(text, status):
    assert out_of_memory(RuntimeError(text)) == fact("memory_of_gpu_library_out", status=status)


@pytest.mark.parametrize("defect", ["device-side assert triggered", "an illegal memory access was encountered"])
def test_a_gpu_library_that_fails_after_a_defective_kernel_has_not_run_out_of_memory(defect):
    assert out_of_memory(RuntimeError(f"CUBLAS_STATUS_NOT_INITIALIZED\nCUDA error: {defect}")) is None


def test_a_data_loader_process_with_a_bus_error_has_run_out_of_shared_memory():
    error = RuntimeError(KILLED.format("Bus error"))
    assert out_of_memory(error) == fact("memory_of_loader_out")
    assert not loader_killed(error)


def test_a_killed_data_loader_process_alone_is_no_lack_of_memory():
    error = RuntimeError(KILLED.format("Killed"))
    assert out_of_memory(error) is None and loader_killed(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shape mismatch"),
        RuntimeError(KILLED.format("Segmentation fault")),
        OSError(errno.EIO, "Input/output error"),
        EvoError("no space left while training"),
        ValueError(),
    ],
    ids=lambda error: type(error).__name__ + str(error)[:24],
)
def test_another_failure_is_no_lack_of_memory(error):
    assert out_of_memory(error) is None


@pytest.mark.parametrize("before", ["", "Caught FileNotFoundError in DataLoader worker process 0.\nTraceback …\n"])
def test_an_image_that_is_gone_is_named(before):
    assert missing_image(FileNotFoundError(f"{before}Image Not Found /data/a picture.jpg\n")) == "/data/a picture.jpg"


def test_another_missing_file_is_no_image():
    assert missing_image(FileNotFoundError(2, "No such file", "weights.pt")) is None
    assert missing_image(RuntimeError("Image Not Found /data/a.jpg")) is None


def test_an_error_without_a_text_is_named_by_its_class():
    assert first_line(MemoryError()) == "MemoryError"
    assert first_line(RuntimeError("one\ntwo")) == "one"
