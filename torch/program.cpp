#include "program.h"

namespace hdas {

void Program::link() {
  into.resize(states);
  for (size_t i = 0; i < terms.size(); ++i) {
    Term &t = terms[i];
    into[t.to].push_back(int(i));
    t.branch = -1;
    if (t.rounds.empty())
      continue;
    const Round &r = t.rounds[0];
    for (size_t b = 0; b < branches.size() && r.weightless(); ++b) {
      const Round &q = branches[b].term->rounds[0];
      if (branches[b].from == t.from && q.window == r.window && q.stride == r.stride && (q.mean < 0) == (r.mean < 0))
        t.branch = int(b);
    }
    if (t.branch < 0) {
      t.branch = int(branches.size());
      branches.push_back({t.from, &t, r.weightless()});
    }
  }
}

template <class T>
std::shared_ptr<const Kernel<T>> Program::kernel(const Round &r, const std::vector<Tensor> &tensors, int64_t c, int64_t h, int64_t w) const {
  std::vector<uint32_t> versions;
  for (int i : {r.taps, r.point, r.shifted})
    versions.push_back(i < 0 ? 0 : bound[i - inputs]._version());
  const auto type = c10::CppTypeToScalarType<T>::value;
  std::lock_guard<std::mutex> guard(lock);
  Made &m = made[&r];
  if (!m.kernel || m.type != type || m.c != c || m.h != h || m.w != w || m.versions != versions)
    m = {c, h, w, versions, type, std::make_shared<const Kernel<T>>(r, tensors, c, h, w)};
  return std::static_pointer_cast<const Kernel<T>>(m.kernel);
}
template std::shared_ptr<const Kernel<float>> Program::kernel(const Round &, const std::vector<Tensor> &, int64_t, int64_t, int64_t) const;
template std::shared_ptr<const Kernel<double>> Program::kernel(const Round &, const std::vector<Tensor> &, int64_t, int64_t, int64_t) const;

} // namespace hdas
