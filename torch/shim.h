// Functions of libtorch that gotch's binding lacks, and the programs of program.h. Functions that
// return char * return NULL, or an error text that the caller frees, unless their comment says
// otherwise. Exceptions do not reach Go. The caller owns the tensors that a function writes to an ht *.
#ifndef HDAS_SHIM_H
#define HDAS_SHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void *ht; // an at::Tensor*, as in gotch; NULL means undefined

// In all functions, device is -1 for the CPU, else the index of a CUDA device.

// Makes malloc keep large freed blocks for later tensors, and switches TF32 off. Call it once, before anything else
// but hdas_load_cuda.
void hdas_init(void);

// Makes a tensor with a copy of the elements in data. For a CUDA device it copies them to pinned memory,
// which libtorch caches, and returns before they are on the device; later work there waits for them.
char *hdas_from_data(ht *out, const void *data, const int64_t *dims, int ndims, int dtype, int device);
// Copies the elements, in row-major order, to data, which must have exactly `bytes` bytes.
char *hdas_to_data(ht t, void *data, size_t bytes);
char *hdas_clone(ht *out, ht t);
char *hdas_set_requires_grad(ht t, int on);
char *hdas_requires_grad(ht t, int *on);

// Computes d(output)/d(inputs[i]) as grads[i]; NULL if the output does not depend on the input.
char *hdas_grad(ht output, const ht *inputs, int n, ht *grads);
// Switches the recording of gradients on or off; *was is the previous mode.
char *hdas_grad_mode(int on, int *was);

// Functions on lists of n tensors, n > 0. They record no gradients. Tensors of the first list that are adjacent
// in memory are computed as one.

// Moves leaf tensors of one type and device to one new storage, in the order of the list.
char *hdas_flatten(const ht *ts, int n);
// Moves tensors to one new storage, in the order in which the tensors `like` are in memory, if they have
// one type and device. It replaces the tensors: nothing else may refer to them.
char *hdas_flatten_like(const ht *ts, const ht *like, int n);
// Write new tensors to out: zeros; copies; copies on the CPU, which there may share the elements. They are
// adjacent where those of ts are.
char *hdas_zeros_like(const ht *ts, int n, ht *out);
char *hdas_clone_all(const ht *ts, int n, ht *out);
char *hdas_to_cpu(const ht *ts, int n, ht *out);
// to[i] = from[i], of the same shape and any type and device
char *hdas_copy_all(const ht *to, const ht *from, int n);
// to[i] += factor * values[i], with a scalar tensor on their device
char *hdas_add_all(const ht *to, const ht *values, int n, ht factor);
// ts[i] = condition ? ts[i] : old[i], with a scalar tensor of Bool on their device
char *hdas_keep_if(ht condition, const ht *ts, const ht *old, int n);
// The Euclidean norm of all elements of all tensors, as a scalar tensor.
char *hdas_norm(ht *out, const ht *tensors, int n);
// Scales grads in place so that their norm is at most max_norm; *out is the norm before.
char *hdas_clip_grad_norm(ht *out, const ht *grads, int n, double max_norm);
char *hdas_scale(const ht *tensors, int n, double factor);
// Divides grads in place by the scale of a loss and adapts the scale (torch.amp.GradScaler). state is a tensor
// of the scale and of the number of steps since it last changed. *finite is whether the norm of grads is
// finite, a scalar of Bool. Nothing waits for the device.
char *hdas_unscale(ht *finite, ht state, const ht *grads, int n, double growth, double growth_steps, double backoff, double least);

// One step of torch.optim.SGD. bufs[i] is the momentum buffer; if first[i] is not 0, it is set to the
// gradient.
char *hdas_sgd(const ht *params, const ht *grads, const ht *bufs, const int *first, int n, double lr,
               double momentum, double dampening, double weight_decay, int nesterov);
// One step of torch.optim.Adam. step[i] is the number of steps of parameter i, including this one; if counts
// is not NULL, the scalar tensor counts[i] is, and step is not read.
char *hdas_adam(const ht *params, const ht *grads, const ht *exp_avg, const ht *exp_avg_sq,
                const int64_t *step, const ht *counts, int n, double lr, double beta1, double beta2, double eps,
                double weight_decay);

// Compiles a program (program.h) whose parameters are n tensors; it refers to these tensors. code is a
// list of numbers: inputs, states, scales, masks; the number of outputs and each output; the number of
// terms and, for each term, from, to, scale, at, mask, its number of rounds and, for each round, the
// members of Round. Tensors, scales and masks are indices in their own lists. code must be valid: it is
// not checked here. The caller frees the program.
typedef void *hdas_program;
char *hdas_compile(hdas_program *out, const ht *tensors, int n, const int64_t *code, int length);
void hdas_program_free(hdas_program p);
// Writes the indices of the parameters that grouped edges join, in the order in which they need not be copied, to out,
// which has room for all parameters, and their number to *n.
char *hdas_adjacent(hdas_program p, int *out, int *n);
// Runs a program. masks may contain NULLs. norm, recompute and path are kernel.Norm, kernel.Recompute
// and kernel.Path.
char *hdas_run(ht *out, hdas_program p, const ht *inputs, const ht *scales, const ht *masks, int norm, int recompute, int path);

// Sets the processes over which batch norms compute (kernel.SyncStatistics), of which this one has that rank. all_reduce sets n
// at::Tensors to the sums of weight * ts[i] over the processes of the group, and returns NULL or an error text.
typedef char *(*hdas_all_reduce)(void *group, void *const *ts, int n, double weight);
void hdas_set_processes(int rank, int world, hdas_all_reduce all_reduce, void *group);
// A batch norm over the images of all processes; scale and shift may be NULL. The images of this one count if counts is not 0.
char *hdas_sync_norm(ht *out, ht x, ht scale, ht shift, ht mean, ht var, int counts);

// hdas_autocast switches autocast to the given type on, for the CPU or CUDA, and stores the previous
// setting in *was. hdas_autocast_end restores that setting.
typedef struct {
  int cuda, enabled, type;
} hdas_cast;
char *hdas_autocast(int cuda, int type, hdas_cast *was);
char *hdas_autocast_end(hdas_cast was);

char *hdas_seed(uint64_t seed);
char *hdas_get_generator(int device, ht *state);
char *hdas_set_generator(int device, ht state);

// Switches TF32 in the convolutions and matrix products of CUDA devices on or off.
char *hdas_set_tf32(int on);
// Makes cuDNN use deterministic algorithms only; or choose the fastest for each new shape by measuring.
char *hdas_set_cudnn(int deterministic, int benchmark);
char *hdas_cuda_switches(int *tf32, int *deterministic, int *benchmark);
char *hdas_set_threads(int n); // 0: libtorch's default
int hdas_threads(void);
// Sets *name to the name of the instruction set that the CPU kernels use (loops.h); it must not be
// freed.
char *hdas_instruction_set(const char **name);
// Sets *name to the name of the instruction set that libtorch's own operations use; it must not be freed.
char *hdas_libtorch_instruction_set(const char **name);
const char *hdas_version(void);
// Loads libtorch's CUDA library if there is one and an NVIDIA driver, before libtorch is first used.
// Returns why it is not loaded, empty if it is; the text must not be freed.
const char *hdas_load_cuda(void);
int hdas_cuda_devices(void);
// Waits for all work on a CUDA device.
char *hdas_synchronize(int device);
// hdas_watch_memory starts to watch the allocator for a kind of device. hdas_watched_memory ends this and
// sets *peak to the largest number of bytes that were allocated at once.
char *hdas_watch_memory(int device);
char *hdas_watched_memory(int64_t *peak);
// hdas_count_launches starts to count operations of all threads. hdas_counted_launches ends this and sets *out to a
// text that the caller frees: a line "NAME NUMBER" for each operation, in order of the names.
char *hdas_count_launches(void);
char *hdas_counted_launches(char **out);
// Sets *free to the number of bytes of a CUDA device that no process uses.
char *hdas_free_memory(int device, int64_t *free);

// Begins to record work on a CUDA device: operations on this thread, and on autograd's for it, are not computed until
// the graph is replayed. The work of the graphs that follow each other shares memory: before is the graph whose replay
// comes before this one's, or NULL. If hdas_graph_end fails, the caller frees the graph.
typedef void *hdas_graph;
char *hdas_graph_begin(hdas_graph *out, int device, hdas_graph before);
char *hdas_graph_end(hdas_graph g);
char *hdas_graph_replay(hdas_graph g);
void hdas_graph_free(hdas_graph g);

#ifdef __cplusplus
}
#endif
#endif
