#include "program.h"

#include <algorithm>
#include <map>
#include <set>

namespace hdas {

namespace {

// Whether two rounds compute the same, but with other parameters.
bool alike(const Round &a, const Round &b) {
  return a.relu == b.relu && a.window == b.window && a.kernel == b.kernel && a.stride == b.stride && a.padding == b.padding &&
         a.dilation == b.dilation && a.in == b.in && a.out == b.out && (a.mean < 0) == (b.mean < 0) && (a.gamma < 0) == (b.gamma < 0);
}

bool alike(const Term &a, const Term &b) {
  return a.from == b.from && a.scale == b.scale && (a.mask < 0) == (b.mask < 0) && a.rounds.size() == b.rounds.size() &&
         std::equal(a.rounds.begin(), a.rounds.end(), b.rounds.begin(), [](const Round &x, const Round &y) { return alike(x, y); });
}

// Divides the terms into fans. Without grouping, each leads to one state.
std::vector<Fan> fans_of(const std::vector<Term> &terms, bool group) {
  std::vector<Bundle> bundles;
  for (size_t i = 0; i < terms.size(); ++i) {
    const Term &t = terms[i];
    const bool weighed = t.weightless() && t.scale >= 0 && t.mask < 0;
    auto same = [&](const Bundle &b) {
      return group && alike(terms[b.terms[0]], t) && (weighed || !t.weightless()) && terms[b.terms.back()].to != t.to;
    };
    auto b = std::find_if(bundles.begin(), bundles.end(), same);
    if (b == bundles.end())
      b = bundles.insert(bundles.end(), Bundle{{}, weighed});
    b->terms.push_back(int(i));
  }
  std::vector<Fan> fans;
  for (Bundle &b : bundles) {
    const int from = terms[b.terms[0]].from;
    std::vector<int> to;
    for (int i : b.terms)
      to.push_back(terms[i].to);
    auto f = std::find_if(fans.begin(), fans.end(), [&](const Fan &f) { return f.from == from && f.to == to; });
    if (f == fans.end())
      f = fans.insert(fans.end(), Fan{from, to, {}});
    f->bundles.push_back(std::move(b));
  }
  return fans;
}

// Adds the elements of terms of one tensor of scales as a new part, and returns its index.
int part(Plan &p, std::map<int, std::map<int64_t, Factors::Group>> &groups, std::map<int, std::map<int64_t, std::vector<int64_t>>> &elements,
         const std::vector<const Term *> &terms, int64_t channels) {
  Factors::Group &g = groups[terms[0]->scale].try_emplace(channels, Factors::Group{channels, 0, {}, {}}).first->second;
  for (const Term *t : terms)
    elements[terms[0]->scale][channels].push_back(t->at);
  g.count += int64_t(terms.size());
  g.sizes.push_back(int64_t(terms.size()) * std::max<int64_t>(channels, 1));
  g.parts.push_back(p.parts);
  return p.parts++;
}

Plan plan_of(const std::vector<Term> &terms, int states, bool group) {
  Plan p;
  p.fans = fans_of(terms, group);
  p.into.resize(states);
  std::map<int, std::map<int64_t, Factors::Group>> groups; // of each tensor of scales, by channels
  std::map<int, std::map<int64_t, std::vector<int64_t>>> elements;
  for (size_t f = 0; f < p.fans.size(); ++f) {
    Fan &fan = p.fans[f];
    std::vector<const Term *> weighed;
    for (Bundle &b : fan.bundles) {
      std::vector<const Term *> of;
      for (int i : b.terms)
        of.push_back(&terms[i]);
      if (b.weighed)
        weighed.insert(weighed.end(), of.begin(), of.end());
      else if (of[0]->scale >= 0)
        b.factor = part(p, groups, elements, of, of[0]->weightless() || of[0]->rounds.back().mean < 0 ? 0 : of[0]->rounds.back().out);
    }
    if (!weighed.empty())
      fan.factor = part(p, groups, elements, weighed, 0);
    for (size_t k = 0; k < fan.to.size(); ++k)
      p.into[fan.to[k]].push_back({int(f), int(k)});
  }
  for (auto &[scale, of] : groups) {
    Factors all;
    all.scale = scale;
    for (auto &[channels, group] : of) {
      const auto &e = elements[scale][channels];
      all.elements.insert(all.elements.end(), e.begin(), e.end());
      all.groups.push_back(std::move(group));
    }
    p.factors.push_back(std::move(all));
  }
  return p;
}

} // namespace

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
  single = plan_of(terms, states, false);
  grouped = plan_of(terms, states, true);
}

std::vector<int> Program::adjacent() const {
  std::vector<int> order;
  std::set<int> placed;
  for (const Fan &f : grouped.fans)
    for (const Bundle &b : f.bundles)
      for (size_t r = 0; b.terms.size() > 1 && r < terms[b.terms[0]].rounds.size(); ++r)
        for (int Round::*k : parameters)
          for (int i : b.terms)
            if (const int at = terms[i].rounds[r].*k; at >= 0 && placed.insert(at).second)
              order.push_back(at - inputs);
  return order;
}

} // namespace hdas
