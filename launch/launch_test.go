package launch_test

import (
	"strings"
	"testing"

	"hdas/launch"
)

// of returns an environment of words NAME=VALUE.
func of(words string) func(string) string {
	return func(name string) string {
		for _, word := range strings.Fields(words) {
			if key, value, _ := strings.Cut(word, "="); key == name {
				return value
			}
		}
		return ""
	}
}

const (
	elastic = "RANK=3 LOCAL_RANK=1 WORLD_SIZE=4 LOCAL_WORLD_SIZE=2 MASTER_ADDR=10.0.0.1 MASTER_PORT=29400 "
	openMPI = "OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_RANK=0 "
	intel   = "PMI_RANK=1 PMI_SIZE=2 MPI_LOCALRANKID=1 "
	slurm   = "SLURM_PROCID=5 SLURM_NTASKS=8 SLURM_LOCALID=1 SLURM_JOB_ID=4711 SLURM_STEP_ID=0 SLURM_NODELIST=gpu[07-08,12] "
)

func TestFind(t *testing.T) {
	for name, c := range map[string]struct {
		env  string
		want launch.Place
	}{
		"nothing":                     {"HOME=/root", launch.Place{World: 1}},
		"a rank of something else":    {"RANK=3", launch.Place{World: 1}},
		"one process":                 {"RANK=0 WORLD_SIZE=1", launch.Place{World: 1}},
		"torchrun with its own store": {elastic + "TORCHELASTIC_USE_AGENT_STORE=True TORCHELASTIC_RESTART_COUNT=2", launch.Place{By: "torchrun", Rank: 3, World: 4, Local: 1, Address: "10.0.0.1", Port: 29400, Prefix: "attempt_2/"}},
		"the agent serves":            {"TORCHELASTIC_USE_AGENT_STORE=True RANK=0 LOCAL_RANK=0 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=1", launch.Place{By: "torchrun", World: 2, Address: "a", Port: 1, Prefix: "attempt_0/"}},
		"rank 0 serves":               {"RANK=0 LOCAL_RANK=0 WORLD_SIZE=2 MASTER_ADDR=a", launch.Place{By: "torchrun", World: 2, Address: "a", Port: 29500, Serve: true, Prefix: "attempt_0/"}},
		"Open MPI on one host":        {openMPI + "OMPI_COMM_WORLD_LOCAL_SIZE=2", launch.Place{By: "mpirun", World: 2, Address: "127.0.0.1", Port: 29500, Serve: true}},
		"Open MPI with an address":    {openMPI + "OMPI_COMM_WORLD_LOCAL_SIZE=1 MASTER_ADDR=b MASTER_PORT=7", launch.Place{By: "mpirun", World: 2, Address: "b", Port: 7, Serve: true}},
		"Intel MPI on one host":       {intel + "MPI_LOCALNRANKS=2", launch.Place{By: "mpirun", Rank: 1, World: 2, Local: 1, Address: "127.0.0.1", Port: 29500}},
		"MPICH on one host":           {"PMI_RANK=1 PMI_SIZE=2 MPI_LOCALNRANKS=2", launch.Place{By: "mpirun", Rank: 1, World: 2, Local: 1, Address: "127.0.0.1", Port: 29500}},
		"a script of sbatch":          {strings.Replace(slurm, "SLURM_STEP_ID=0", "", 1), launch.Place{World: 1}},
		"torchrun in a job of Slurm":  {slurm + elastic, launch.Place{By: "torchrun", Rank: 3, World: 4, Local: 1, Address: "10.0.0.1", Port: 29400, Prefix: "attempt_0/"}},
	} {
		got, err := launch.Find(of(c.env))
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, not %+v", name, got, err, c.want)
		}
	}
}

// The store of a job of Slurm is on its first host, and steps of jobs have ports of their own.
func TestSlurm(t *testing.T) {
	at := func(env string) launch.Place {
		p, err := launch.Find(of(env))
		if err != nil || p.By != "srun" || p.Rank != 5 || p.World != 8 || p.Local != 1 || p.Serve || p.Port < 15000 || p.Port >= 32768 {
			t.Errorf("%s: %+v, %v", env, p, err)
		}
		return p
	}
	if p, q := at(slurm), at(strings.Replace(slurm, "STEP_ID=0", "STEP_ID=1", 1)); p.Port == q.Port {
		t.Errorf("two steps have the port %d", p.Port)
	}
	for list, want := range map[string]string{
		"gpu[07-08,12]": "gpu07", "gpu07": "gpu07", "a,b": "a", "a[1,3]-x,b": "a1-x", "rack[2-3]n[10-12]": "rack2n10", "b-1[5]": "b-15",
	} {
		if p := at(strings.Replace(slurm, "gpu[07-08,12]", list, 1)); p.Address != want {
			t.Errorf("%s: %s, not %s", list, p.Address, want)
		}
	}
	if p := at(slurm + "SLURM_STEP_NODELIST=gpu12"); p.Address != "gpu12" {
		t.Errorf("the first host of the step is %s", p.Address)
	}
}

func TestFaults(t *testing.T) {
	for env, words := range map[string][]string{
		"RANK=2 WORLD_SIZE=2 LOCAL_RANK=0 MASTER_ADDR=a":                        {"torchrun", `RANK="2" is not in 0..1`},
		"RANK=-1 WORLD_SIZE=2 LOCAL_RANK=x MASTER_ADDR=a":                       {`RANK="-1"`, `LOCAL_RANK="x"`},
		"RANK=0 WORLD_SIZE=two MASTER_ADDR=a":                                   {`WORLD_SIZE="two"`},
		"RANK=0 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=70000":                   {"LOCAL_RANK is not set", "MASTER_PORT"},
		elastic + "MASTER_ADDR=":                                                nil,
		strings.Replace(elastic, "MASTER_ADDR=10.0.0.1", "", 1):                 {"MASTER_ADDR is not set"},
		"RANK=0 WORLD_SIZE=2 LOCAL_RANK=0 SLURM_NODELIST=a":                     {"MASTER_ADDR is not set"},
		openMPI + "OMPI_COMM_WORLD_LOCAL_SIZE=1":                                {"mpirun", "MASTER_ADDR is not set"},
		intel + "MPI_LOCALNRANKS=0":                                             {`MPI_LOCALNRANKS="0"`},
		strings.Replace(slurm, "SLURM_LOCALID=1", "", 1):                        {"srun", "SLURM_LOCALID is not set"},
		strings.Replace(slurm, "SLURM_NTASKS=8", "SLURM_NTASKS=99999999999", 1): {"SLURM_NTASKS"},
	} {
		_, err := launch.Find(of(env))
		if (err == nil) != (words == nil) {
			t.Errorf("%s: %v", env, err)
		}
		for _, word := range words {
			if err != nil && !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %v lacks %q", env, err, word)
			}
		}
	}
}
