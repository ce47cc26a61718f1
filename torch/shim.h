// What libtorch offers and gotch's binding lacks. Every function returns NULL, or an
// error text that the caller frees: nothing may be thrown into Go.
#ifndef HDAS_SHIM_H
#define HDAS_SHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void *ht; // at::Tensor*, the same handle as gotch's; NULL is undefined

// device is -1 for the CPU, else the index of a CUDA device.

// Tells the allocator to keep large blocks for the next tensor, once, before any work.
void hdas_init(void);

// Copies numel elements from data; the tensor lives on the CPU.
char *hdas_from_data(ht *out, const void *data, const int64_t *dims, int ndims, int dtype);
// Copies the elements, in row-major order, into data of exactly `bytes` bytes.
char *hdas_to_data(ht t, void *data, size_t bytes);
char *hdas_clone(ht *out, ht t);
char *hdas_channels_last(ht *out, ht t);
// Copies a CPU tensor to a CUDA device by way of pinned memory, which libtorch keeps and uses
// again. The copy is under way when this returns; what comes after it on the device waits for it.
char *hdas_upload(ht *out, ht t, int device);
char *hdas_set_requires_grad(ht t, int on);
char *hdas_requires_grad(ht t, int *on);

// d(output)/d(inputs); a slot stays NULL where the output does not depend on the input.
char *hdas_grad(ht output, const ht *inputs, int n, ht *grads);
char *hdas_grad_mode(int on, int *was);

// One step of torch.optim.SGD. bufs[i] is momentum's buffer; first[i] says that it is still
// to be filled with the gradient. No list may be empty.
char *hdas_sgd(const ht *params, const ht *grads, const ht *bufs, const int *first, int n, double lr,
               double momentum, double dampening, double weight_decay, int nesterov);
// Step `step` (from 1, one number a parameter) of torch.optim.Adam.
char *hdas_adam(const ht *params, const ht *grads, const ht *exp_avg, const ht *exp_avg_sq,
                const int64_t *step, int n, double lr, double beta1, double beta2, double eps,
                double weight_decay);
// The L2 norm of all lists as one vector, as a 0-dimensional tensor.
char *hdas_norm(ht *out, const ht *tensors, int n);
// Scales grads in place so that their norm is at most max_norm; out is the norm before.
char *hdas_clip_grad_norm(ht *out, const ht *grads, int n, double max_norm);
char *hdas_scale(const ht *tensors, int n, double factor);

// Compiles a program (program.h), bound to n tensors. code holds, number by number: inputs, states,
// scales, masks, how many outputs and which, how many terms and for each from, to, scale, at, mask,
// how many rounds and for each the members of Round; tensors, scales and masks by their index in
// their own list. What it says must be right: nothing is checked here. The caller frees it.
typedef void *hdas_program;
char *hdas_compile(hdas_program *out, const ht *tensors, int n, const int64_t *code, int length);
void hdas_program_free(hdas_program p);
// Runs it. masks may hold NULLs. norm: 0 the batch's statistics, 1 the running ones; recompute: 0
// nothing, 1 edges, 2 the cell; path: 0 kernels where they can, 1 operations.
char *hdas_run(ht *out, hdas_program p, const ht *inputs, const ht *scales, const ht *masks, int norm, int recompute, int path);

// Switches autocast to a type on, for the CPU or CUDA, and puts back how it was.
typedef struct {
  int cuda, enabled, type;
} hdas_cast;
char *hdas_autocast(int cuda, int type, hdas_cast *was);
char *hdas_autocast_end(hdas_cast was);

char *hdas_seed(uint64_t seed);
char *hdas_get_generator(int device, ht *state);
char *hdas_set_generator(int device, ht state);

char *hdas_set_threads(int n);
int hdas_threads(void);
// The name of the instruction set that the CPU's kernels use (leaves.h). It is not freed.
char *hdas_instruction_set(const char **name);
const char *hdas_version(void);
int hdas_cuda_devices(void);
// Waits for all work on a CUDA device.
char *hdas_synchronize(int device);
// Between the two, the most bytes that the allocator of a device's kind has handed out at once.
char *hdas_watch_memory(int device);
char *hdas_watched_memory(int64_t *peak);

#ifdef __cplusplus
}
#endif
#endif
