// Loads libtorch's library for CUDA, so that one program runs on machines with and without GPUs.
#include "shim.h"

#include <ATen/Context.h>
#include <dlfcn.h>
#include <string>
#include <torch/cuda.h>
#include <unistd.h>

// The path of the loaded libtorch_cpu.so, without the name of the file.
static std::string folder() {
  Dl_info found;
  if (dladdr(reinterpret_cast<void *>(&at::globalContext), &found) == 0 || !found.dli_fname)
    return "";
  const std::string path = found.dli_fname;
  return path.substr(0, path.rfind('/') + 1);
}

// Returns the error of loading a library, empty if it is loaded.
static std::string load(const std::string &path) {
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL))
    return "";
  const char *error = dlerror();
  return error ? error : "unknown error";
}

const char *hdas_load_cuda(void) {
  static std::string why;
  const std::string library = folder() + "libtorch_cuda.so";
  if (access(library.c_str(), R_OK) != 0)
    why = "this libtorch is for the CPU: there is no " + library;
  else if (!load("libcuda.so.1").empty()) // before the gigabytes of the other one
    why = "there is no NVIDIA driver (libcuda.so.1)";
  else if (std::string error = load(library); !error.empty())
    why = "libtorch's CUDA library does not load: " + error;
  return why.c_str();
}

int hdas_cuda_devices(void) {
  try {
    return torch::cuda::is_available() ? int(torch::cuda::device_count()) : 0;
  } catch (...) {
    return 0;
  }
}
