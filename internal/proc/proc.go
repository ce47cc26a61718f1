// Package proc reads facts about this process and this machine from Linux's /proc. On systems without it,
// the results are 0 or empty.
package proc

import (
	"os"
	"regexp"
	"strconv"
	"strings"
)

// Process returns the value of a line of /proc/self/status in bytes: VmRSS is the memory in use, VmHWM its
// peak.
func Process(key string) int64 { return bytes(read("/proc/self/status"), key) }

// Machine returns the value of a line of /proc/meminfo, such as MemTotal or MemAvailable, in bytes.
func Machine(key string) int64 { return bytes(read("/proc/meminfo"), key) }

// ResetPeak sets VmHWM to the memory that is currently in use, if the system allows it.
func ResetPeak() { os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// Library returns the path of the loaded library with the given file name, or an empty text if it is not
// loaded.
func Library(name string) string { return library(read("/proc/self/maps"), name) }

// NVIDIADriver returns the version of the loaded NVIDIA driver, such as 580.95.05, or an empty text if there
// is none.
func NVIDIADriver() string { return nvidiaDriver(read("/proc/driver/nvidia/version")) }

func nvidiaDriver(text string) string {
	if found := regexp.MustCompile(`Kernel Module.*?\s(\d+(\.\d+)+)\s`).FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return ""
}

func read(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

// bytes returns the value of the line "key:   123 kB", in bytes.
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

// library returns the path of a mapped file with that file name. The path is at the end of its line and may
// contain spaces.
func library(text, name string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if at := strings.IndexByte(line, '/'); at >= 0 && strings.HasSuffix(line, "/"+name) {
			return line[at:]
		}
	}
	return ""
}
