// Package launch finds out which of the processes of a run this one is, from the environment that their launcher has
// set: torchrun, Open MPI, MPICH and Intel MPI, or Slurm. It can be the launcher itself, too.
package launch

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// Place is the place of a process among those of a run.
type Place struct {
	By          string // what has started the processes, as in "torchrun"; empty if this is a single process
	Rank, World int    // index of this process, from 0, and number of processes
	Local       int    // index of this process among those on its host
	Address     string // host name or IP address of the store, where the processes find each other
	Port        int
	Serve       bool   // this process serves the store
	Socket      int    // file descriptor of its socket, already listening; 0: it opens one for Port
	Prefix      string // of the keys in the store
}

// defaultPort is that of PyTorch.
const defaultPort = 29500

// Hdas is the launcher of processes that this program has started itself (Processes).
const Hdas = "hdas"

// SocketVariable is set for processes that this program has started: the file descriptor of the socket of the store.
const SocketVariable = "LAUNCH_SOCKET"

// kind is a launcher, by the variables that it sets.
type kind struct {
	name               string
	rank, world, local string
	size               string // number of processes on this host; empty: no such variable
	needs              string // a variable without which the others do not count
}

// kinds are the launchers. If the variables of several are set, the first counts: torchrun and mpirun run within the
// jobs of Slurm.
var kinds = []kind{
	{"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", ""},
	{"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", ""},
	{"mpirun", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", ""},
	// A script of sbatch has the variables, too, but only srun sets that of the step.
	{"srun", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "", "SLURM_STEP_ID"},
}

// Find returns the place of the process with that environment. env returns the value of a variable, empty if it is not
// set. Without a launcher, and with one that has started one process, the place is that of a single process: World is 1.
func Find(env func(string) string) (Place, error) {
	for _, k := range kinds {
		if env(k.rank) == "" || env(k.world) == "" || k.needs != "" && env(k.needs) == "" {
			continue
		}
		p, err := k.place(env)
		if err != nil {
			return Place{}, fmt.Errorf("the processes of %s: %w", k.name, err)
		}
		if p.World == 1 {
			break
		}
		return p, nil
	}
	return Place{World: 1}, nil
}

func (k kind) place(env func(string) string) (p Place, err error) {
	var faults []error
	number := func(name string, least, most int) int {
		n, err := strconv.Atoi(env(name))
		if err != nil || n < least || n > most {
			faults = append(faults, fmt.Errorf("%s=%q is not in %d..%d", name, env(name), least, most))
		}
		return n
	}
	const mostProcesses, mostPorts = 1 << 20, 1<<16 - 1
	p = Place{By: k.name, World: number(k.world, 1, mostProcesses), Address: env("MASTER_ADDR"), Port: defaultPort}
	if len(faults) > 0 || p.World == 1 {
		return p, errors.Join(faults...)
	}
	p.Rank = number(k.rank, 0, p.World-1)
	here := 0
	if k.size != "" && env(k.size) != "" {
		here = number(k.size, 1, p.World)
	}
	switch {
	case env(k.local) != "":
		p.Local = number(k.local, 0, p.World-1)
	case here != p.World: // the index on this host chooses its device
		faults = append(faults, fmt.Errorf("%s is not set", k.local))
	default:
		p.Local = p.Rank
	}
	if p.Address == "" {
		switch nodes := cmp.Or(env("SLURM_STEP_NODELIST"), env("SLURM_NODELIST"), env("SLURM_JOB_NODELIST")); {
		case here == p.World:
			p.Address = "127.0.0.1"
		case k.name != "torchrun" && nodes != "":
			p.Address = firstHost(nodes)
		default:
			faults = append(faults, errors.New("MASTER_ADDR is not set: the host of rank 0"))
		}
	}
	if job := jobOf(env); env("MASTER_PORT") != "" {
		p.Port = number("MASTER_PORT", 1, mostPorts)
	} else if k.name != "torchrun" && job != "" {
		p.Port = portOf(job)
	}
	p.Serve = p.Rank == 0
	if k.name == "torchrun" {
		// The agent of torchrun serves the store that all attempts use.
		p.Serve = p.Serve && env("TORCHELASTIC_USE_AGENT_STORE") != "True"
		if env(SocketVariable) != "" {
			p.By = Hdas
			if p.Serve {
				p.Socket = number(SocketVariable, 3, 1<<10)
			}
		}
		p.Prefix = "attempt_" + cmp.Or(env("TORCHELASTIC_RESTART_COUNT"), "0") + "/"
	}
	return p, errors.Join(faults...)
}

// jobOf returns a text that all processes of a run have, and no other run on their hosts; empty if there is none.
func jobOf(env func(string) string) string {
	if id := cmp.Or(env("PMIX_NAMESPACE"), env("OMPI_MCA_ess_base_jobid")); id != "" {
		return id
	}
	if env("SLURM_JOB_ID") == "" {
		return ""
	}
	return env("SLURM_JOB_ID") + "." + env("SLURM_STEP_ID")
}

// portOf returns a port for a run, below those that systems give to connections.
func portOf(job string) int {
	const from, ports = 15000, 16384
	h := fnv.New32a()
	h.Write([]byte(job))
	return from + int(h.Sum32()%ports)
}

// firstHost returns the first host of a list of Slurm, as node07 of "node[07-09,12],other".
func firstHost(list string) string {
	var host strings.Builder
	for list != "" {
		at := strings.IndexAny(list, "[,")
		if at < 0 {
			at = len(list)
		}
		if at == len(list) || list[at] == ',' {
			host.WriteString(list[:at])
			break
		}
		host.WriteString(list[:at])
		group, rest, _ := strings.Cut(list[at+1:], "]")
		if end := strings.IndexAny(group, ",-"); end >= 0 {
			group = group[:end]
		}
		host.WriteString(group)
		list = rest
	}
	return host.String()
}
