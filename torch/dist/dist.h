// Groups of processes, by c10d of libtorch. Functions that return char * return NULL, or an error text that the caller
// frees. Exceptions do not reach Go.
#ifndef HDAS_DIST_H
#define HDAS_DIST_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void *hdas_group;

// Joins a group and waits for its other members, for at most so many milliseconds; collectives wait as long as
// collective_ms. The store is served by this process if serve is not 0, on the socket listen, or, if that is negative,
// on the port. The keys in it begin with prefix. device is the address or, if it begins with "if:", the interface of this
// host at which the others reach it.
char *hdas_dist_join(hdas_group *out, int rank, int world, const char *address, int port, int serve, int listen, const char *prefix,
                     const char *device, int64_t join_ms, int64_t collective_ms);
// Closes the connections and frees the group. With abandon, GPUs do not wait for the other members.
void hdas_dist_free(hdas_group g, int abandon);
// Says on which device, as "cuda:1", the tensors are that this process will reduce. *why becomes empty if NCCL reduces them
// from now on, and otherwise says why not; the caller frees it.
char *hdas_dist_use(hdas_group g, const char *device, char **why);

// The tensors are at::Tensor *. In all processes they have the same types and shapes; n > 0.
// ts[i] = the sum of weight * ts[i] over the processes
char *hdas_dist_all_reduce(hdas_group g, void *const *ts, int n, double weight);
// ts[i] = ts[i] of rank 0
char *hdas_dist_broadcast(hdas_group g, void *const *ts, int n);
// Copies `bytes` bytes of each process to out, in the order of the ranks. `bytes` is the same in all.
char *hdas_dist_gather(hdas_group g, const void *data, int64_t bytes, void *out);
char *hdas_dist_barrier(hdas_group g);

#ifdef __cplusplus
}
#endif
#endif
