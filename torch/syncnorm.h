// Batch norms over the images of several processes.
#ifndef HDAS_SYNCNORM_H
#define HDAS_SYNCNORM_H

#include <ATen/ATen.h>

namespace hdas {

// Returns scale * (x - mean) / sqrt(variance + eps) + shift for x (N,C,H,W), with the mean and the variance of each channel over the
// images of all processes (hdas_set_processes), each of which calls it. scale and shift (C) may be undefined: 1 and 0.
// The images of this process count weight times: 1 or 0. If update is true, it updates the running mean and variance.
at::Tensor sync_norm(const at::Tensor &x, const at::Tensor &scale, const at::Tensor &shift, const at::Tensor &running_mean, const at::Tensor &running_var,
                     double weight, bool update);

} // namespace hdas

#endif
