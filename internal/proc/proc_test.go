package proc

import (
	"runtime"
	"testing"
)

func TestBytes(t *testing.T) {
	const text = "Name:\thdas\nVmHWM:\t    5020 kB\nVmRSS:\t       0 kB\nThreads:\t7\nVmLarge:\t99999999999999999999 kB\nVmHuge:\t9007199254740993 kB\nVmNone:\nVmLess:\t-3 kB"
	for key, want := range map[string]int64{
		"VmHWM": 5020 << 10, "VmRSS": 0, "VmH": 0, "HWM": 0, "Name": 0, "Threads": 0, "VmLarge": 0, "VmHuge": 0, "VmNone": 0, "VmLess": 0, "other": 0, "": 0,
	} {
		if got := bytes(text, key); got != want {
			t.Errorf("%q is %d, not %d", key, got, want)
		}
	}
}

func TestLibraryOfMaps(t *testing.T) {
	const text = "7f00-7f01 r-xp 00000000 08:01 12  /opt/a folder/lib/libone.so\n7f01-7f02 rw-p 00000000 00:00 0\n7f02-7f03 r--p 00000000 08:01 13  /lib/libtwo.so"
	for name, want := range map[string]string{"libone.so": "/opt/a folder/lib/libone.so", "libtwo.so": "/lib/libtwo.so", "two.so": "", "libthree.so": ""} {
		if got := library(text, name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
}

func TestNVIDIADriver(t *testing.T) {
	for text, want := range map[string]string{
		"NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\nGCC version:  gcc 12.2\n": "535.129.03",
		"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder@U22)\n":             "580.95.05",
		"": "",
	} {
		if got := nvidiaDriver(text); got != want {
			t.Errorf("%q gives %q, not %q", text, got, want)
		}
	}
}

func TestThisProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	if used, peak := Process("VmRSS"), Process("VmHWM"); used < 1<<20 || peak < used/2 {
		t.Errorf("%d bytes in use, %d at most", used, peak)
	}
	if total, free := Machine("MemTotal"), Machine("MemAvailable"); free <= 0 || total < free {
		t.Errorf("%d bytes available of %d", free, total)
	}
	block := make([]byte, 64<<20)
	for i := range block {
		block[i] = 1
	}
	if peak := Process("VmHWM"); peak < int64(len(block)) {
		t.Errorf("a peak of %d bytes with a block of %d", peak, len(block))
	}
	runtime.KeepAlive(block)
	ResetPeak()
	if got := Library("no such library"); got != "" {
		t.Errorf("found %q", got)
	}
}
