// Package dist joins processes to a group and reduces tensors over it, by libtorch's c10d with Gloo, and between GPUs by NCCL.
package dist

// #cgo CXXFLAGS: -std=c++17 -Wall -Wno-unused-local-typedefs -Wno-sign-compare -O2 -DUSE_C10D_GLOO -I${SRCDIR}
// #cgo LDFLAGS: -Wl,--no-as-needed -ltorch_cpu -lc10
// #include <stdlib.h>
// #include "dist.h"
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"hdas/torch"
)

// Member says which member of which group a process is.
type Member struct {
	Rank, World int
	Address     string // host name or IP address of the store, where the members find each other
	Port        int
	Serve       bool   // this process serves the store
	Listen      int    // file descriptor of the socket on which it does, already listening; 0: one for Port
	Prefix      string // of the keys in the store, where several groups use one after another
	// Interface is the network interface of this host over which the members connect. Empty: the one that leads to
	// the store.
	Interface string
	Join      time.Duration // how long Join waits for the store and the other members; 0: five minutes
	Wait      time.Duration // how long a collective waits for the other members; 0: half an hour
}

const (
	defaultJoin = 5 * time.Minute
	defaultWait = 30 * time.Minute
)

// ErrLost is the cause of the error of a collective that another process does not take part in: it has ended, or does not
// answer.
var ErrLost = errors.New("has lost another process")

// Lost reports whether an error is that of a process that misses another one: in a collective, or in a batch norm over the
// processes.
func Lost(err error) bool {
	return errors.Is(err, ErrLost) || err != nil && strings.Contains(err.Error(), torch.NormsFailed)
}

// Group is a group of processes. All of them call the same collectives, the methods below, in the same order, inside
// torch.Do. If one fails, or another process has ended, it panics with *torch.Error, and the group is of no more use.
// A nil Group is that of a single process.
type Group struct {
	member Member
	c      C.hdas_group
	broken bool // a collective has failed
}

// Join connects this process to the other members, and returns when all are there. Batch norms over processes are then over those
// of the group (torch.SetProcesses). It runs inside torch.Do. The caller calls Close.
func Join(m Member) (*Group, error) {
	if m.World < 1 || m.Rank < 0 || m.Rank >= m.World {
		return nil, fmt.Errorf("rank %d of %d processes; ranks count from 0", m.Rank, m.World)
	}
	if m.Join == 0 {
		m.Join = defaultJoin
	}
	if m.Wait == 0 {
		m.Wait = defaultWait
	}
	listen := -1
	if m.Listen > 0 {
		listen = m.Listen
	}
	g := &Group{member: m}
	at := net.JoinHostPort(m.Address, strconv.Itoa(m.Port))
	device, err := m.device(at)
	if err != nil {
		return nil, fmt.Errorf("rank %d of %d: %w", m.Rank, m.World, err)
	}
	free := func(texts ...*C.char) {
		for _, text := range texts {
			C.free(unsafe.Pointer(text))
		}
	}
	address, prefix, own := C.CString(m.Address), C.CString(m.Prefix), C.CString(device)
	defer free(address, prefix, own)
	serve := C.int(0)
	if m.Serve {
		serve = 1
	}
	inside()
	text := C.hdas_dist_join(&g.c, C.int(m.Rank), C.int(m.World), address, C.int(m.Port), serve, C.int(listen), prefix, own,
		C.int64_t(m.Join.Milliseconds()), C.int64_t(m.Wait.Milliseconds()))
	if err := failure(text); err != nil {
		return nil, fmt.Errorf("rank %d of %d could not join the others at %s within %v: %w", m.Rank, m.World, at, m.Join, err)
	}
	torch.SetProcesses(m.Rank, m.World, unsafe.Pointer(C.hdas_dist_all_reduce), unsafe.Pointer(g.c))
	return g, nil
}

// device returns the address of this host at which the other members reach it, or "if:" and an interface.
func (m Member) device(store string) (string, error) {
	if m.Interface != "" {
		return "if:" + m.Interface, nil
	}
	// Nothing is sent: the system only chooses the interface.
	c, err := net.Dial("udp", store)
	if err != nil {
		return "", fmt.Errorf("the host of the store %s is unknown or out of reach: %w", store, err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).IP.String(), nil
}

// failure returns the error of a text of dist.h, which it frees; nil for NULL.
func failure(text *C.char) error {
	if text == nil {
		return nil
	}
	words := C.GoString(text)
	C.free(unsafe.Pointer(text))
	words, _, _ = strings.Cut(words, "\nException raised from") // and a stack of C++
	return errors.New(strings.TrimSpace(words))
}

// check panics if a collective has failed.
func (g *Group) check(op string, text *C.char) {
	if err := failure(text); err != nil {
		g.broken = true
		panic(&torch.Error{Op: op, Err: fmt.Errorf("rank %d of %d %w: %w", g.member.Rank, g.member.World, ErrLost, err)})
	}
}

// Rank returns the index of this process, which counts from 0.
func (g *Group) Rank() int {
	if g == nil {
		return 0
	}
	return g.member.Rank
}

// World returns the number of processes.
func (g *Group) World() int {
	if g == nil {
		return 1
	}
	return g.member.World
}

// Use says on which device the tensors of this process are. It is a collective. If all processes have a GPU of their own,
// AllReduce goes from GPU to GPU by NCCL afterwards, and the result is empty; otherwise it goes through the memory of the
// hosts by Gloo, as without Use, and the result says why.
func (g *Group) Use(d torch.Device) (why string) {
	if g == nil {
		return ""
	}
	inside()
	name := C.CString(d.String())
	defer C.free(unsafe.Pointer(name))
	var text *C.char
	g.check("use", C.hdas_dist_use(g.c, name, &text))
	if err := failure(text); err != nil {
		why = err.Error()
	}
	return why
}

// AllReduce sets each tensor to the sum, over the processes, of weight times that tensor, in place. With the weight
// 1/World it is the mean. Types and shapes are the same in all processes; undefined tensors are left out. The result is
// the same in all, bit for bit. In a single process the weight must be 1.
func (g *Group) AllReduce(ts []torch.Tensor, weight float64) {
	if g == nil {
		return
	}
	if in := handles(ts); len(in) > 0 {
		g.check("all_reduce", C.hdas_dist_all_reduce(g.c, &in[0], C.int(len(in)), C.double(weight)))
	}
}

// Sum returns the sums of numbers over the processes.
func (g *Group) Sum(numbers ...float64) (sums []float64) {
	if g == nil || len(numbers) == 0 {
		return numbers
	}
	torch.Within(func(*torch.Scope) {
		t := torch.FromFloat64(numbers, int64(len(numbers)))
		g.AllReduce([]torch.Tensor{t}, 1)
		sums = t.Float64s()
	})
	return sums
}

// First returns the numbers of rank 0.
func (g *Group) First(numbers ...float64) []float64 {
	if g.Rank() > 0 {
		numbers = make([]float64, len(numbers))
	}
	return g.Sum(numbers...)
}

// Broadcast sets each tensor to that of rank 0, in place. Types and shapes are the same in all processes; undefined
// tensors are left out.
func (g *Group) Broadcast(ts []torch.Tensor) {
	if g == nil {
		return
	}
	if in := handles(ts); len(in) > 0 {
		g.check("broadcast", C.hdas_dist_broadcast(g.c, &in[0], C.int(len(in))))
	}
}

func handles(ts []torch.Tensor) []unsafe.Pointer {
	var defined []torch.Tensor
	for _, t := range ts {
		if t.Defined() {
			defined = append(defined, t)
		}
	}
	return torch.Handles(defined)
}

// inside panics outside torch.Do.
func inside() { torch.Within(func(*torch.Scope) {}) }

// Gather returns the texts of all processes, of any lengths, in the order of their ranks.
func (g *Group) Gather(text []byte) [][]byte {
	if g == nil {
		return [][]byte{text}
	}
	sizes := g.gather(binary.LittleEndian.AppendUint64(nil, uint64(len(text))))
	longest := 0
	for _, size := range sizes {
		longest = max(longest, int(binary.LittleEndian.Uint64(size)))
	}
	if longest == 0 {
		return make([][]byte, g.World())
	}
	all := g.gather(append(text[:len(text):len(text)], make([]byte, longest-len(text))...))
	for r, size := range sizes {
		all[r] = all[r][:binary.LittleEndian.Uint64(size)]
	}
	return all
}

// gather returns the texts of all processes, which have one length, at least 1.
func (g *Group) gather(text []byte) [][]byte {
	n := len(text)
	inside()
	out := make([]byte, n*g.World())
	g.check("all_gather", C.hdas_dist_gather(g.c, unsafe.Pointer(&text[0]), C.int64_t(n), unsafe.Pointer(&out[0])))
	all := make([][]byte, g.World())
	for r := range all {
		all[r] = out[r*n : (r+1)*n]
	}
	return all
}

// Barrier returns when all processes have called it.
func (g *Group) Barrier() {
	if g != nil {
		inside()
		g.check("barrier", C.hdas_dist_barrier(g.c))
	}
}

// Leave makes Close not wait for the others: this process goes, and they will miss it.
func (g *Group) Leave() {
	if g != nil {
		g.broken = true
	}
}

// Close waits for the other members, unless the group has failed, and closes the connections. It runs inside torch.Do.
func (g *Group) Close() {
	if g == nil || g.c == nil {
		return
	}
	if !g.broken { // no process closes a connection on which another still waits for data
		failure(C.hdas_dist_barrier(g.c))
	}
	torch.SetProcesses(0, 1, nil, nil)
	C.hdas_dist_free(g.c, C.int(map[bool]int{true: 1}[g.broken]))
	g.c = nil
}

// Interface returns the network interface that the user has chosen, as for PyTorch; empty if none.
func Interface() string { return os.Getenv("GLOO_SOCKET_IFNAME") }
