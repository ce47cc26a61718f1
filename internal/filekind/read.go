package filekind

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// Read reads a file of at most the given number of bytes. Folders and devices are errors. Pipes are allowed,
// because <(COMMAND) of a shell is one; if a pipe has no writer, Read does not wait and returns no bytes.
// With the error for a larger file it returns the first bytes.
func Read(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode(); !mode.IsRegular() && mode&os.ModeNamedPipe == 0 {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		return data[:most], fmt.Errorf("%s is larger than %d bytes", path, most)
	}
	return data, err
}
