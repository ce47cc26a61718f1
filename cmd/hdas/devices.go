package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/lab"
	"hdas/torch"
)

// The flags that say how many runs are done at once, and on what.
const (
	devicesFlag = "devices"
	jobsFlag    = "jobs"
)

// devicesFlagOf adds --devices, and what it means for a command, to its flags.
func (p *program) devicesFlagOf(c *cobra.Command, means string) {
	c.Flags().StringSliceVar(&p.devices, devicesFlag, nil, "devices to use, as in cuda:0,cuda:1: "+means)
}

// checkDevices returns an error if --devices cannot be used.
func (p *program) checkDevices(c *cobra.Command) error {
	if c.Flags().Changed(devicesFlag) && c.Flags().Changed("device") {
		return usageError{errors.New("--device and --devices: give one of them")}
	}
	for _, name := range p.devices {
		if name == configs.AutoDevice {
			return usageError{errors.New("--devices auto: name the devices, as in cuda:0,cuda:1")}
		}
		if _, err := torch.ParseDevice(name); err != nil {
			return usageError{fmt.Errorf("--%s: %w", devicesFlag, err)}
		}
	}
	return nil
}

// jobs returns how several runs are done: so many at once, 0 without --jobs, each by so many processes, on the devices of
// --devices.
func (p *program) jobs(c *cobra.Command, atOnce, processes int) (lab.Jobs, error) {
	j := lab.Jobs{AtOnce: atOnce, Processes: processes}
	switch n := len(p.devices); {
	case n%processes != 0:
		return j, usageError{fmt.Errorf("--%s: %s cannot be divided into groups of %d, the processes of each run", devicesFlag, counted(n, "device"), processes)}
	case n == 0 && processes > 1:
		j.Places = [][]string{{fmt.Sprintf("--%s=%d", processesFlag, processes)}}
	default:
		for group := range slices.Chunk(p.devices, processes) {
			j.Places = append(j.Places, []string{fmt.Sprintf("--%s=%s", devicesFlag, strings.Join(group, ","))})
		}
	}
	if atOnce > 0 && atOnce < len(j.Places) {
		return j, usageError{fmt.Errorf("--%s %d leaves some of the %s idle: each can do a run at once", jobsFlag, atOnce, counted(len(p.devices), "device"))}
	}
	j.AtOnce = max(atOnce, len(j.Places), 1)
	return j, p.checkDevices(c)
}

// jobsFlagOf adds --jobs to the flags of a command for several runs.
func jobsFlagOf(c *cobra.Command, jobs *int, runs string) {
	c.Flags().IntVar(jobs, jobsFlag, 0, "number of "+runs+" to run at once, on all devices together; the threads are divided among them; 0: one, or with --devices one on each")
}

// resuming returns the function that returns the command which resumes the run in a folder, by a process of this program.
func (p *program) resuming(c *cobra.Command, threads int, words ...string) (func(folder string) []string, error) {
	self, err := os.Executable()
	return func(folder string) []string {
		again := append(append([]string{self}, words...), "--resume", "--out", folder, "--"+partFlag)
		format := p.logs.format
		if _, ok := p.bars(); ok {
			format = logNone // this process shows their bars
		}
		again = append(again, fmt.Sprintf("--log-format=%s", format), fmt.Sprintf("--log-every=%s", p.logs.every))
		if p.acceptData {
			again = append(again, "--"+acceptFlag)
		}
		if c.Flags().Changed("threads") { // the runs that have begun have another number in their configuration
			again = append(again, fmt.Sprintf("--threads=%d", threads))
		}
		return again
	}, err
}
