package proc

import (
	"math"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Free returns the number of bytes of memory that this process can still use: the least of what the machine
// has available, what the limits of its control groups leave and what the limit of its address space
// (ulimit -v) leaves. 0: unknown.
func Free() int64 {
	free := Machine("MemAvailable")
	for _, left := range []int64{groupLeft(groups("/sys/fs/cgroup", read("/proc/self/cgroup"))), addressesLeft()} {
		if left < unlimited {
			free = min(free, left)
		}
	}
	return free
}

const unlimited = math.MaxInt64

// Confine limits the address space of this process to what it has now and `more` bytes, so that an allocation
// beyond that fails instead of letting the system end the process. undo removes the limit.
func Confine(more int64) (undo func()) {
	var was syscall.Rlimit
	now := Process("VmSize")
	if syscall.Getrlimit(syscall.RLIMIT_AS, &was) != nil || now == 0 || more <= 0 || uint64(now+more) >= was.Cur {
		return func() {}
	}
	if syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: uint64(now + more), Max: was.Max}) != nil {
		return func() {}
	}
	return func() { syscall.Setrlimit(syscall.RLIMIT_AS, &was) }
}

func addressesLeft() int64 {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_AS, &r) != nil || r.Cur > 1<<60 {
		return unlimited
	}
	return max(1, int64(r.Cur)-Process("VmSize"))
}

// group is the folder of a control group of memory, and the names of its files.
type group struct{ folder, limit, used, cache string }

// groups returns the control groups that limit the memory of a process, from the content of its
// /proc/self/cgroup: its own and all above it, of both versions of control groups. In a container the folder of
// the group itself may be missing; that of the root then holds the limit.
func groups(root, text string) (list []group) {
	for line := range strings.Lines(text) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, at, _ := strings.Cut(rest, ":")
		g := group{root, "memory.max", "memory.current", "inactive_file"}
		if controllers != "" {
			g = group{filepath.Join(root, "memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}
			if !strings.Contains(","+controllers+",", ",memory,") {
				continue
			}
		}
		for at = path.Clean("/" + at); ; at = path.Dir(at) {
			list = append(list, group{filepath.Join(g.folder, at), g.limit, g.used, g.cache})
			if at == "/" {
				break
			}
		}
	}
	return list
}

// groupLeft returns the least that the limits of the groups leave. The cache of files counts as free where
// the system would reclaim it.
func groupLeft(list []group) int64 {
	left := int64(unlimited)
	for _, g := range list {
		number := func(file string) (int64, bool) {
			n, err := strconv.ParseInt(strings.TrimSpace(read(filepath.Join(g.folder, file))), 10, 64)
			return n, err == nil
		}
		limit, limited := number(g.limit)
		used, known := number(g.used)
		if !limited || !known || limit >= 1<<60 { // "max", or the number that means no limit
			continue
		}
		for line := range strings.Lines(read(filepath.Join(g.folder, "memory.stat"))) {
			if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == g.cache {
				n, _ := strconv.ParseInt(value, 10, 64)
				used -= n
			}
		}
		left = min(left, max(1, limit-used))
	}
	return left
}
