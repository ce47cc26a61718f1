// Package proc reads what Linux says in /proc about this process and this machine. What it does not
// say, as on other systems, is 0 or empty.
package proc

import (
	"os"
	"strconv"
	"strings"
)

// Process returns the bytes of a line of /proc/self/status: VmRSS is the memory in use, VmHWM its
// peak.
func Process(key string) int64 { return bytes(read("/proc/self/status"), key) }

// Machine returns the bytes of a line of /proc/meminfo, such as MemTotal or MemAvailable.
func Machine(key string) int64 { return bytes(read("/proc/meminfo"), key) }

// ResetPeak makes VmHWM start anew from the memory that is in use, where the system allows it.
func ResetPeak() { os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// Library returns the path of the library of that file name in this process, empty where it is not
// loaded.
func Library(name string) string { return library(read("/proc/self/maps"), name) }

func read(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

// bytes returns the value of a line "key:   123 kB".
func bytes(text, key string) int64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			number, unit, _ := strings.Cut(strings.TrimSpace(rest), " ")
			n, err := strconv.ParseInt(number, 10, 64)
			if err != nil || unit != "kB" || n < 0 || n > 1<<52 {
				return 0
			}
			return n << 10
		}
	}
	return 0
}

// library returns the path of a mapped file of that name. It ends its line, and may hold spaces.
func library(text, name string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if at := strings.IndexByte(line, '/'); at >= 0 && strings.HasSuffix(line, "/"+name) {
			return line[at:]
		}
	}
	return ""
}
